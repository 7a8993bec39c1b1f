package verify

import (
	"maps"
	"time"

	"github.com/dialproof/dialproof/internal/limit"
	"github.com/dialproof/dialproof/internal/message"
)

// Magic is a fixed outcome of a number in test mode. docs/testing.md lists the numbers.
type Magic string

// The magic outcomes.
const (
	MagicNone        Magic = ""
	MagicApproved    Magic = "approved"    // the code is MagicCode
	MagicUndelivered Magic = "undelivered" // the message comes back undelivered
	MagicExpired     Magic = "expired"     // it is expired as soon as it is started
	MagicBlocked     Magic = "blocked"     // the start is refused as blocked
	MagicLimited     Magic = "limited"     // the start is refused as too fast
)

// refuse returns the fixed refusals of test mode.
func (m Magic) refuse(now time.Time) error {
	switch m {
	case MagicBlocked:
		return fail(CodeBlocked, "this number is not sent to")
	case MagicLimited:
		return limited(CodeLimited,
			&limit.Refusal{Name: "number_hour", Limit: 5, Window: time.Hour, Retry: now.Add(time.Hour).UTC()})
	case MagicNone, MagicApproved, MagicUndelivered, MagicExpired:
	}
	return nil
}

// MagicCode is the code of the number with the outcome MagicApproved, cut or repeated to the wanted length.
const MagicCode = "1234567890"

// magicNumbers are numbers of the range that Ofcom reserves for drama, so that they reach nobody.
var magicNumbers = map[string]Magic{
	"+447700900001": MagicApproved,
	"+447700900002": MagicUndelivered,
	"+447700900003": MagicExpired,
	"+447700900004": MagicBlocked,
	"+447700900005": MagicLimited,
}

// MagicNumbers returns the numbers with fixed outcomes in test mode.
func MagicNumbers() map[string]Magic { return maps.Clone(magicNumbers) }

func magicCode(length int) message.Code { return message.NewCode(MagicCode[:length]) }
