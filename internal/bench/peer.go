//go:build linux

package bench

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// peer is a system of somebody else that is already running. The one that is known is otpgateway; it has no provider of
// ours, so its start carries the code.
type peer struct {
	title string
	pids  []int
	how   peerTarget
}

func newPeer(given string, pids map[string][]int) (*peer, error) {
	name, address, ok := strings.Cut(given, "=")
	u, err := url.Parse(address)
	if !ok || err != nil || u.Host == "" {
		return nil, fmt.Errorf("a peer is name=address, like otpgateway=http://127.0.0.1:9000, and not %q", given)
	}
	if name != "otpgateway" {
		return nil, fmt.Errorf("the peer %q is not known; otpgateway is", name)
	}
	auth := ""
	if u.User != nil {
		r := http.Request{Header: http.Header{}}
		password, _ := u.User.Password()
		r.SetBasicAuth(u.User.Username(), password)
		auth = r.Header.Get("Authorization")
	}
	return &peer{title: name, pids: pids[name], how: peerTarget{at: u.Host, auth: auth}}, nil
}

var _ system = (*peer)(nil)

func (p *peer) name() string   { return p.title }
func (p *peer) target() target { return p.how }
func (p *peer) stop() error    { return nil }

func (p *peer) cost() (u usage, err error) {
	for _, pid := range p.pids {
		v, err := processUsage(pid, true)
		if err != nil {
			return u, err
		}
		u = u.plus(v)
	}
	return u, nil
}

type peerTarget struct{ at, auth string }

func (t peerTarget) address() string { return t.at }

// provider is what the webhook to our sink is called in the peer's configuration.
const provider = "bench"

func (t peerTarget) start(l *lane, number string) (string, error) {
	form := url.Values{"to": {number}, "provider": {provider}}.Encode()
	status, body, err := l.send("PUT", t.at, "/api/otp/"+number[1:], t.auth, formType, []byte(form))
	return answered(status, body, err, http.StatusOK)
}

func (t peerTarget) check(l *lane, id, code string) error {
	status, body, err := l.send("POST", t.at, "/api/otp/"+id, t.auth, formType, []byte("action=check&otp="+code))
	_, err = answered(status, body, err, http.StatusOK)
	return err
}
