package sip

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net"
	"net/netip"
	"strings"

	gosip "github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"

	"github.com/dialproof/dialproof/internal/channel"
)

// The headers of RFC 3325 and how caller_header names them.
const (
	headerAsserted  = "p-asserted-identity"
	headerPreferred = "p-preferred-identity"
)

// allowed is what the far end may send us within a call.
const allowed = "INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE, INFO"

// token returns 16 random characters, for what must not be guessed: tags, ids of calls.
func token() string {
	b := make([]byte, 8)
	_, _ = rand.Read(b) // it never fails
	return hex.EncodeToString(b)
}

// newRequest returns a request outside of a call, from the account to itself.
func (t *trunk) newRequest(method gosip.RequestMethod, to gosip.Uri) *gosip.Request {
	req := gosip.NewRequest(method, to)
	account := gosip.Uri{User: t.s.cfg.Username, Host: t.s.cfg.domain()}
	if account.User == "" {
		account.User = t.s.cfg.From
	}
	from := &gosip.FromHeader{Address: account}
	from.Params.Add("tag", token())
	id := gosip.CallIDHeader(token() + token())
	hops := gosip.MaxForwardsHeader(70)
	req.AppendHeader(from)
	req.AppendHeader(&gosip.ToHeader{Address: account})
	req.AppendHeader(&id)
	req.AppendHeader(&gosip.CSeqHeader{SeqNo: 1, MethodName: method})
	req.AppendHeader(&hops)
	req.SetBody(nil)
	return req
}

// send puts a request on its way to an address. Via and Contact are filled in here, because with tcp and tls the port
// is that of the connection. Nothing has left if it answers an error.
func (t *trunk) send(ctx context.Context, req *gosip.Request, server netip.AddrPort) (*gosip.ClientTx, error) {
	t.route(req, server, server.String())
	return t.begun(ctx, req, server)
}

// begun is send for a request that has its way already.
func (t *trunk) begun(ctx context.Context, req *gosip.Request, server netip.AddrPort) (*gosip.ClientTx, error) {
	tx, err := t.ua.TransactionLayer().NewClientTransaction(ctx, req)
	if err != nil {
		return nil, unreachable(err)
	}
	if contact := req.Contact(); contact != nil && contact.Address.Host == "" {
		contact.Address.Host, contact.Address.Port = t.contact(server, tx.Connection().LocalAddr())
		if t.s.cfg.Transport != "udp" {
			contact.Address.UriParams.Add("transport", t.s.cfg.Transport)
		}
	}
	if err := tx.Init(); err != nil {
		tx.Terminate()
		return nil, unreachable(err)
	}
	return tx, nil
}

// route gives a request the way that it takes: to a host and port, by an end of ours that the server can answer to.
func (t *trunk) route(req *gosip.Request, server netip.AddrPort, to string) {
	req.SetTransport(strings.ToUpper(t.s.cfg.Transport))
	req.SetDestination(to)
	via := &gosip.ViaHeader{
		ProtocolName:    "SIP",
		ProtocolVersion: "2.0",
		Transport:       req.Transport(),
		Host:            bracketed(t.own(server)),
	}
	via.Params.Add("branch", gosip.GenerateBranch())
	via.Params.Add("rport", "") // RFC 3581: answer to where it came from
	if t.socket != nil {
		via.Port = int(t.local.Port())
		req.Laddr = gosip.Addr{IP: net.IP(t.local.Addr().AsSlice()), Port: int(t.local.Port())}
	}
	req.RemoveHeader("Via")
	req.PrependHeader(via)
}

// contact returns where the far end sends its requests within a call.
func (t *trunk) contact(server netip.AddrPort, local net.Addr) (host string, port int) {
	port = int(t.local.Port())
	if a, ok := local.(*net.TCPAddr); ok {
		port = a.Port
	}
	return t.own(server).String(), port
}

// ask sends a request outside of a call, with the password if it is asked for, and waits for the final response. An
// error means that there was none.
func (t *trunk) ask(ctx context.Context, req *gosip.Request) (*gosip.Response, error) {
	server, err := t.resolve(ctx)
	if err != nil {
		return nil, err
	}
	defer t.expect(string(*req.CallID()))()
	for tries := 0; ; tries++ {
		tx, err := t.send(ctx, req, server)
		if err != nil {
			return nil, err
		}
		res, err := t.final(ctx, tx)
		if err != nil {
			return nil, err
		}
		req = req.Clone() // the transaction may still look at the old one
		if tries >= maxChallenges || !t.authorize(req, res) {
			return res, nil
		}
		req.CSeq().SeqNo++
	}
}

// final waits for the final response to a request that is no INVITE.
func (t *trunk) final(ctx context.Context, tx *gosip.ClientTx) (*gosip.Response, error) {
	defer tx.Terminate()
	for {
		select {
		case res := <-tx.Responses():
			t.hear()
			if !res.IsProvisional() {
				return res, nil
			}
		case <-tx.Done():
			return nil, silent()
		case <-ctx.Done():
			return nil, silent().Because(ctx.Err())
		}
	}
}

// maxChallenges is how often a request is repeated with the password: once, and once more when the first nonce
// was stale.
const maxChallenges = 2

// authorize puts the answer to a challenge into the request (RFC 3261 §22). It answers false when the response is no
// challenge, or none that can be met.
func (t *trunk) authorize(req *gosip.Request, res *gosip.Response) bool {
	ask, answer := "WWW-Authenticate", "Authorization"
	if res.StatusCode == 407 {
		ask, answer = "Proxy-Authenticate", "Proxy-Authorization"
	}
	if (res.StatusCode != 401 && res.StatusCode != 407) || t.s.cfg.Password.IsZero() {
		return false
	}
	for _, h := range res.GetHeaders(ask) {
		challenge, err := digest.ParseChallenge(h.Value())
		if err != nil {
			continue
		}
		for i, q := range challenge.QOP {
			challenge.QOP[i] = strings.TrimSpace(q)
		}
		challenge.Algorithm = strings.ToUpper(challenge.Algorithm)
		if !digest.CanDigest(challenge) || (len(challenge.QOP) > 0 && !challenge.SupportsQOP("auth")) {
			continue
		}
		if req.GetHeader(answer) != nil && !challenge.Stale {
			return false // the password was given and is not accepted
		}
		credentials, err := digest.Digest(challenge, digest.Options{
			Method:   req.Method.String(),
			URI:      req.Recipient.Addr(),
			Username: t.s.cfg.Username,
			Password: t.s.cfg.Password.Reveal(),
		})
		if err != nil {
			continue
		}
		req.RemoveHeader(answer)
		req.AppendHeader(gosip.NewHeader(answer, credentials.String()))
		return true
	}
	return false
}

// caller returns the caller's number of a call, or an error when it cannot stand in a header.
func (s *sender) caller(from string) (string, error) {
	for _, c := range []string{from, s.cfg.From, s.cfg.Username} {
		if c == "" {
			continue
		}
		if !userForm.MatchString(c) {
			return "", &channel.Error{
				Kind:     channel.Refused,
				Provider: name,
				Code:     "sender",
				Detail:   "the route's sender is no number that can call",
			}
		}
		return c, nil
	}
	return "", &channel.Error{
		Kind:     channel.Refused,
		Provider: name,
		Code:     "sender",
		Detail:   "the route has no number to call from",
	}
}
