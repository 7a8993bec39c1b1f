package sip

import (
	"testing"

	gosip "github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"

	"github.com/dialproof/dialproof/internal/message"
)

func zeroCode() message.Code { return message.Code{} }

// digestIsRight computes the answer to a challenge again and holds that the request has it.
func digestIsRight(t *testing.T, req *gosip.Request, header string) {
	t.Helper()
	h := req.GetHeader(header)
	if h == nil {
		t.Fatal("there is no answer to the challenge")
	}
	given, err := digest.ParseCredentials(h.Value())
	must(t, err)
	challenge := &digest.Challenge{Realm: given.Realm, Nonce: given.Nonce, Algorithm: given.Algorithm}
	if given.QOP != "" {
		challenge.QOP = []string{given.QOP}
	}
	want, err := digest.Digest(challenge, digest.Options{
		Method:   "INVITE",
		URI:      req.Recipient.Addr(),
		Username: "acct",
		Password: password,
		Cnonce:   given.Cnonce,
		Count:    given.Nc,
	})
	must(t, err)
	if given.Response != want.Response || given.URI != req.Recipient.Addr() || given.Username != "acct" {
		t.Error("the answer to the challenge is wrong")
	}
}
