package smpp

import (
	"fmt"

	"github.com/dialproof/dialproof/internal/channel"
)

// The values of command_status that decide more than a kind (SMPP 3.4 §5.1.3).
const (
	statusOK        = 0x00
	statusCommand   = 0x03
	statusUnbound   = 0x04
	statusLength    = 0x02
	statusQueueFull = 0x14
	statusThrottled = 0x58
	statusTemporary = 0x64
)

// errorRow says what one of SMPP's command_status values means for the next step.
type errorRow struct {
	code   string
	kind   channel.ErrorKind
	detail string
}

// errorTable has the values of SMPP 3.4 (§5.1.3) that an SMSC may answer to a bind or a message. An SMSC that answers
// one of them did not take the message, so none is MaybeSent.
func errorTable() map[uint32]errorRow {
	return map[uint32]errorRow{
		0x01: {"ESME_RINVMSGLEN", channel.Refused, "the SMSC finds the text too long: see long_messages"},
		0x02: {"ESME_RINVCMDLEN", channel.Refused, "the SMSC does not understand our request: its length"},
		0x03: {"ESME_RINVCMDID", channel.Refused, "the SMSC does not know the command"},
		0x04: {"ESME_RINVBNDSTS", channel.Unavailable, "the SMSC says that the session is not bound for this"},
		0x05: {"ESME_RALYBND", channel.Refused,
			"the account is bound already: binds is too high, or another program uses it"},
		0x06: {"ESME_RINVPRTFLG", channel.Refused, "the SMSC does not accept the priority"},
		0x07: {"ESME_RINVREGDLVFLG", channel.Refused, "the SMSC does not accept registered_delivery"},
		0x08: {"ESME_RSYSERR", channel.Unavailable, "the SMSC is out of order"},
		0x0A: {"ESME_RINVSRCADR", channel.Refused, "the SMSC does not accept the sender"},
		0x0B: {"ESME_RINVDSTADR", channel.Rejected, "the SMSC does not accept the number"},
		0x0C: {"ESME_RINVMSGID", channel.Refused, "the SMSC does not know the message id"},
		0x0D: {"ESME_RBINDFAIL", channel.Refused,
			"the SMSC refuses the bind: ask the carrier whether the account is open for our address"},
		0x0E: {"ESME_RINVPASWD", channel.Refused, "the SMSC does not accept the password"},
		0x0F: {"ESME_RINVSYSID", channel.Refused, "the SMSC does not know the system_id"},
		0x11: {"ESME_RCANCELFAIL", channel.Refused, "the SMSC could not cancel a message"},
		0x13: {"ESME_RREPLACEFAIL", channel.Refused, "the SMSC could not replace a message"},
		0x14: {"ESME_RMSGQFUL", channel.Throttled, "the SMSC's queue is full"},
		0x15: {"ESME_RINVSERTYP", channel.Refused, "the SMSC does not accept the service type"},
		0x33: {"ESME_RINVNUMDESTS", channel.Refused, "the SMSC does not accept the number of destinations"},
		0x34: {"ESME_RINVDLNAME", channel.Refused, "the SMSC does not know the distribution list"},
		0x40: {"ESME_RINVDESTFLAG", channel.Refused, "the SMSC does not accept the destination flag"},
		0x42: {"ESME_RINVSUBREP", channel.Refused, "the SMSC does not accept the replace flag"},
		0x43: {"ESME_RINVESMCLASS", channel.Refused,
			"the SMSC does not accept the esm_class: try another setting of long_messages"},
		0x44: {"ESME_RCNTSUBDL", channel.Refused, "the SMSC cannot send to the distribution list"},
		0x45: {"ESME_RSUBMITFAIL", channel.Unavailable, "the SMSC could not take the message"},
		0x48: {"ESME_RINVSRCTON", channel.Refused, "the SMSC does not accept the sender's type of number: see source_ton"},
		0x49: {"ESME_RINVSRCNPI", channel.Refused, "the SMSC does not accept the sender's numbering plan: see source_npi"},
		0x50: {"ESME_RINVDSTTON", channel.Refused, "the SMSC does not accept the destination's type of number: see dest_ton"},
		0x51: {"ESME_RINVDSTNPI", channel.Refused, "the SMSC does not accept the destination's numbering plan: see dest_npi"},
		0x53: {"ESME_RINVSYSTYP", channel.Refused, "the SMSC does not accept the system_type"},
		0x54: {"ESME_RINVREPFLAG", channel.Refused, "the SMSC does not accept the replace flag"},
		0x55: {"ESME_RINVNUMMSGS", channel.Refused, "the SMSC does not accept the number of messages"},
		0x58: {"ESME_RTHROTTLED", channel.Throttled, "more messages a second than the account may send"},
		0x61: {"ESME_RINVSCHED", channel.Refused, "the SMSC does not accept the schedule"},
		0x62: {"ESME_RINVEXPIRY", channel.Refused, "the SMSC does not accept the validity period: see validity"},
		0x63: {"ESME_RINVDFTMSGID", channel.Refused, "the SMSC does not know the canned message"},
		0x64: {"ESME_RX_T_APPN", channel.Unavailable, "the carrier behind the SMSC has a passing fault"},
		0x65: {"ESME_RX_P_APPN", channel.Rejected, "the carrier behind the SMSC will never take this message"},
		0x66: {"ESME_RX_R_APPN", channel.Refused, "the carrier behind the SMSC rejects the message"},
		0x67: {"ESME_RQUERYFAIL", channel.Refused, "the SMSC could not answer a query"},
		0xC0: {"ESME_RINVOPTPARSTREAM", channel.Refused, "the SMSC does not understand our optional parameters"},
		0xC1: {"ESME_ROPTPARNOTALLWD", channel.Refused,
			"the SMSC does not allow one of our optional parameters: see tlvs and long_messages"},
		0xC2: {"ESME_RINVPARLEN", channel.Refused, "the SMSC does not accept the length of a parameter"},
		0xC3: {"ESME_RMISSINGOPTPARAM", channel.Refused, "the SMSC misses an optional parameter: see tlvs"},
		0xC4: {"ESME_RINVOPTPARAMVAL", channel.Refused,
			"the SMSC does not accept the value of an optional parameter: see tlvs"},
		0xFE: {"ESME_RDELIVERYFAILURE", channel.Unavailable, "the SMSC could not deliver"},
		0xFF: {"ESME_RUNKNOWNERR", channel.Unavailable, "the SMSC has a fault that it cannot name"},
	}
}

// statusError returns what a command_status means. One that is not in the table is the carrier's own (§5.1.3 leaves
// 0x400 to 0x4FF to them): the message was not taken, and somebody must ask what it means.
func statusError(status uint32) *channel.Error {
	row, known := errorTable()[status]
	if !known {
		row = errorRow{fmt.Sprintf("%#08x", status), channel.Refused,
			"an error of the carrier's own: its documentation has the meaning"}
	}
	return &channel.Error{Kind: row.kind, Provider: name, About: about(status), Code: row.code, Detail: row.detail}
}

// about returns what a command_status is about, where it says more than its kind does.
func about(status uint32) channel.Subject {
	switch status {
	case 0x05, 0x0D, 0x0E, 0x0F, 0x53:
		return channel.OfAccount
	case 0x0A, 0x48, 0x49:
		return channel.OfSender
	case 0x45, 0xFE:
		return channel.OfDestination
	}
	return ""
}

// unavailable returns an error about a message that surely never left.
func unavailable(code, detail string) *channel.Error {
	return &channel.Error{Kind: channel.Unavailable, Provider: name, Code: code, Detail: detail}
}

// maybeSent returns an error about a message that may have left.
func maybeSent(code, detail string) *channel.Error {
	return &channel.Error{Kind: channel.MaybeSent, Provider: name, Code: code, Detail: detail}
}
