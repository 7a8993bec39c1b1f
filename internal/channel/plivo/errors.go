package plivo

import (
	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
)

// errorTable has the codes of messages that did not arrive (plivo.com/docs/messaging, "Error codes"). Receipts carry
// them.
func errorTable() map[string]channel.ErrorKind {
	return map[string]channel.ErrorKind{
		"10":   channel.Refused,     // the carrier does not accept the text
		"20":   channel.Unavailable, // the carrier's network failed
		"30":   channel.Refused,     // taken for spam
		"40":   channel.Refused,     // the sender is not valid
		"50":   channel.Rejected,    // the number is not valid
		"60":   channel.Refused,     // a loop
		"70":   channel.Rejected,    // the number is out of reach for good
		"80":   channel.Unavailable, // the number is out of reach for now
		"90":   channel.Unavailable, // no way to the number
		"100":  channel.Refused,     // the carrier forbids it
		"110":  channel.Refused,     // the text is too long
		"200":  channel.Rejected,    // the person has opted out of this sender (STOP)
		"300":  channel.Unavailable, // Plivo could not hand it on
		"420":  channel.Unavailable, // it expired before it was sent
		"450":  channel.Refused,     // the account may not send to this country
		"900":  channel.Refused,     // the account has no credit
		"910":  channel.Refused,     // the account is disabled
		"1000": channel.Unavailable, // no reason is known
	}
}

// hangupTable has the causes of calls that did not bring the code (plivo.com/docs/voice, "Hangup causes").
func hangupTable() map[string]channel.ErrorKind {
	return map[string]channel.ErrorKind{
		"1010": channel.Refused,     // the account has no credit
		"1020": channel.Unavailable, // too many calls to this number at once
		"2000": channel.Rejected,    // the number is not valid
		"2010": channel.Rejected,    // the number is out of service
		"2030": channel.Refused,     // the account may not call this country
		"2040": channel.Refused,     // the account may not call numbers of this price
		"3000": channel.Unavailable, // nobody picked up
		"3010": channel.Unavailable, // busy
		"3020": channel.Unavailable, // the person declined
	}
}

// coded returns code and kind of something that failed. A code that is no short number is not repeated.
func coded(table map[string]channel.ErrorKind, code, otherwise string) (string, channel.ErrorKind) {
	if kind, known := table[code]; known {
		return code, kind
	}
	if number, ok := rest.Short(code, 5); ok {
		return number, channel.Unavailable
	}
	return otherwise, channel.Unavailable
}
