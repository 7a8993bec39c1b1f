package message_test

import (
	"strings"
	"testing"

	"github.com/dialproof/dialproof/internal/message"
)

// TestRegistered compares texts with what a registry has approved.
func TestRegistered(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		registered, text string
		fits             bool
	}{
		{"{#var#} is your {#var#} code.", "123456 is your Acme code.", true},
		{"{#numeric#} is your {#alphanumeric#} code.", "123456 is your Acme code.", true},
		{"{#var#} is your {#var#} code.", "123456 is your Acme code", false},
		{"{#var#} is your {#var#} code.", "123456 is your  code.", false},
		{"{#var#} is your {#var#} code.", "Your code is 123456", false},
		{"{#var#} is your {#var#} code.", "123456 is your " + strings.Repeat("x", 30) + " code.", true},
		{"{#var#} is your {#var#} code.", "123456 is your " + strings.Repeat("x", 31) + " code.", false},
		{"{#var#}{#var#} (code)", strings.Repeat("é", 60) + " (code)", true},
		{"Code {#var#}. (a+b)*", "Code 1. (a+b)*", true},
		{"Code {#var#}. (a+b)*", "Code 1. aab", false},
		{"Code {#var#}\nAcme", "Code 123456\nAcme", true},
		{"Code {#var#} ", "Code 123456", true},
	} {
		r, err := message.ParseRegistered(strings.TrimSpace(c.registered))
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Fits(c.text); got != c.fits {
			t.Errorf("%q fits %q: %t", c.text, c.registered, got)
		}
	}
	for _, text := range []string{"", " ", "Your code is 123456", "{# var #}", strings.Repeat("x", 2000) + "{#var#}",
		strings.Repeat("{#var#}", 21)} {
		if _, err := message.ParseRegistered(text); err == nil {
			t.Errorf("%.40q is taken", text)
		}
	}
	if (message.Registered{}).Fits("") {
		t.Error("nothing fits")
	}
}
