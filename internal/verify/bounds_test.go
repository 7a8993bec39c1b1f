package verify

import (
	"strings"
	"testing"
)

func TestPurposeForm(t *testing.T) {
	t.Parallel()
	for purpose, ok := range map[string]bool{
		"login": true, "a": true, "sign_in": true, "step2": true, "a_": true, strings.Repeat("a", maxPurpose): true,
		"": false, "_in": false, "2fa": false, "Login": false, "sign-in": false, "sign in": false, "é": false,
		strings.Repeat("a", maxPurpose+1): false,
	} {
		if purposeForm(purpose) != ok {
			t.Errorf("%q: %v, want %v", purpose, !ok, ok)
		}
	}
}
