package telegram

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
)

// errorTable has the errors by the first word or words of their names. The Gateway's document shows
// ACCESS_TOKEN_INVALID alone; the other names are built as in Telegram's other interfaces
// (core.telegram.org/api/errors), so that what begins alike is judged alike. The longest beginning wins.
func errorTable() rest.Table {
	return rest.Table{
		"ACCESS_TOKEN":          rest.Means(channel.Refused, "Telegram does not accept the token"),
		"BALANCE":               rest.Means(channel.Refused, "the account's balance is too low"),
		"PHONE_NUMBER":          rest.Means(channel.Rejected, "the number has no Telegram or cannot be reached there"),
		"PHONE_NUMBER_FLOOD":    rest.Means(channel.Throttled, "too many messages to this number"),
		"USER":                  rest.Means(channel.Rejected, "the person cannot be reached by Telegram"),
		"FLOOD_WAIT":            rest.Means(channel.Throttled, "too many requests at once"),
		"TOO_MANY_REQUESTS":     rest.Means(channel.Throttled, "too many requests at once"),
		"SENDER":                rest.Means(channel.Refused, "the sender_username is no verified channel of the account"),
		"REQUEST_ID":            rest.Means(channel.Unavailable, "the request of the check is no longer known"),
		"CODE":                  rest.Means(channel.Refused, "the code is not valid"),
		"CALLBACK_URL":          rest.Means(channel.Refused, "the address for receipts is not valid: see public_url"),
		"PAYLOAD":               rest.Means(channel.Refused, "the payload is not valid"),
		"TTL":                   rest.Means(channel.Refused, "the life of the message is not valid"),
		"METHOD":                rest.Means(channel.Refused, "the method is not known: see url"),
		"INTERNAL":              rest.Means(channel.Unavailable, "Telegram failed"),
		"TIMEOUT":               rest.Means(channel.Unavailable, "Telegram failed"),
		"SERVICE_UNAVAILABLE":   rest.Means(channel.Unavailable, "Telegram is out of order"),
		"IP":                    rest.Means(channel.Refused, "the account does not allow this machine's address"),
		"ACCOUNT":               rest.Means(channel.Refused, "the account may not send"),
		"VERIFICATION_DISABLED": rest.Means(channel.Refused, "the account may not send"),
	}
}

// refused returns the error of one of Telegram's words.
func (s *sender) refused(a channel.Answer, word string) *channel.Error {
	e := s.api.Status(a)
	if e.Kind == channel.MaybeSent { // a 200 that says no
		e.Kind, e.Detail = channel.Refused, "Telegram does not accept the request"
	}
	e.Code = harmless(word)
	best := ""
	for begin := range errorTable() {
		if (word == begin || strings.HasPrefix(word, begin+"_")) && len(begin) > len(best) {
			best = begin
		}
	}
	if row, known := errorTable()[best]; known {
		kind, pause := e.Kind, e.RetryAfter
		if e = row.Error(name, e.Code); a.Status == http.StatusTooManyRequests {
			e.Kind, e.RetryAfter = kind, pause
		}
	}
	if after, ok := strings.CutPrefix(word, "FLOOD_WAIT_"); ok {
		if n, err := strconv.Atoi(after); err == nil && n > 0 {
			e.RetryAfter = time.Duration(min(n, 86_400)) * time.Second
		}
	}
	return e
}

// harmless keeps a word of somebody else's short and free of numbers that could be a person's.
func harmless(word string) string {
	digits := 0
	for _, r := range word {
		switch {
		case r >= '0' && r <= '9':
			digits++
		case (r < 'A' || r > 'Z') && r != '_':
			return "unreadable"
		}
	}
	if digits > 5 || len(word) > 48 {
		return "unreadable"
	}
	return word
}
