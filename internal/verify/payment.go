package verify

import (
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/dialproof/dialproof/internal/message"
)

// samePayment reports whether two payments are the same, however they are spelled: 39.9 and 39.90, or another normal
// form of the payee's name. Neither has to be one.
func samePayment(a, b *message.Transaction) bool {
	if a == nil || b == nil {
		return a == b
	}
	return plainAmount(a.Amount) == plainAmount(b.Amount) && a.Currency == b.Currency &&
		plainPayee(a.Payee) == plainPayee(b.Payee)
}

// plainAmount returns an amount without zeros that say nothing.
func plainAmount(amount string) string {
	whole, cents, _ := strings.Cut(amount, ".")
	return strings.TrimLeft(whole, "0") + "." + strings.TrimRight(cents, "0")
}

// plainPayee returns a name in Unicode's normal form C, with single spaces.
func plainPayee(name string) string { return strings.Join(strings.Fields(norm.NFC.String(name)), " ") }

// mismatch returns the refusal of a check for another payment than started, which takes no attempt: the application is
// wrong and not the person (PSD2 RTS Art. 5: the code is specific to amount and payee).
func mismatch(started *message.Transaction) *Error {
	if started == nil {
		return fail(CodeMismatch, "the verification was started without a transaction: leave it out")
	}
	return fail(CodeMismatch, "the transaction is not the one that the verification was started with")
}
