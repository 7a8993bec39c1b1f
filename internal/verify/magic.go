package verify

import (
	"maps"

	"github.com/dialproof/dialproof/internal/message"
)

// MagicCode is the code of the number with the outcome MagicApproved, cut or repeated to the wanted length.
const MagicCode = "1234567890"

// magicNumbers are numbers of the range that Ofcom reserves for drama, so that they reach nobody.
var magicNumbers = map[string]Magic{ //nolint:gochecknoglobals // a constant table
	"+447700900001": MagicApproved,
	"+447700900002": MagicUndelivered,
	"+447700900003": MagicExpired,
	"+447700900004": MagicBlocked,
	"+447700900005": MagicLimited,
}

// MagicNumbers answers the numbers with fixed outcomes in test mode.
func MagicNumbers() map[string]Magic { return maps.Clone(magicNumbers) }

func magicCode(length int) message.Code { return message.NewCode(MagicCode[:length]) }
