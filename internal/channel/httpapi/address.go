package httpapi

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// address is a URL with placeholders in its path and query.
type address struct{ path, query template }

// uses reports whether a placeholder stands in it.
func (a address) uses(name string) bool {
	for _, p := range append(append(template(nil), a.path...), a.query...) {
		if p.name == name {
			return true
		}
	}
	return false
}

// fill returns the URL. Each value is escaped for where it stands, so that none makes a path segment or a field of its
// own.
func (a address) fill(values map[string]string) string {
	out := a.path.fill(values, func(s string) string {
		if s == "." || s == ".." {
			return strings.ReplaceAll(s, ".", "%2E") // a server would take it for a way up
		}
		return url.PathEscape(s)
	})
	if len(a.query) > 0 {
		out += "?" + a.query.fill(values, url.QueryEscape)
	}
	return out
}

func (p *plan) compileURL() (err error) {
	if p.url, err = p.address("url", p.cfg.URL); err != nil {
		return err
	}
	for _, n := range []string{"code", "text"} {
		if p.url.uses(n) && !p.cfg.CodeInURL {
			return fmt.Errorf(
				"url: {%s} must not stand in an address, where logs keep it; put it into body, or set code_in_url: true if the "+
					"gateway knows no other way", n)
		}
	}
	return nil
}

func (p *plan) compileCheck() (err error) {
	c := p.cfg.Check
	if c.URL == "" {
		return nil
	}
	if c.Method != "" && c.Method != "GET" && c.Method != "POST" {
		return fmt.Errorf("check.method: must be GET or POST")
	}
	if p.check, err = p.address("check.url", c.URL); err != nil {
		return err
	}
	for _, n := range p.known() {
		if p.check.uses(n) {
			return fmt.Errorf("check.url: {%s} belongs to a message, and the check sends none", n)
		}
	}
	return nil
}

// address parses a URL. Scheme and host are fixed; placeholders are for what comes after them.
func (p *plan) address(key, s string) (a address, err error) {
	path, query, _ := strings.Cut(s, "?")
	u, err := url.Parse(placeholderForm.ReplaceAllString(path, "x"))
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || u.User != nil ||
		strings.ContainsAny(s, "# \r\n") {
		return a,
			fmt.Errorf("%s: must be an address like https://sms.example.com/v1/messages, without a user and without #", key)
	}
	if u.Scheme == "http" && !p.cfg.AllowHTTP && !loopback(u.Hostname()) {
		return a, fmt.Errorf("%s: must be https, or set allow_http: true and accept that codes travel in the clear", key)
	}
	origin := path
	if at := strings.Index(path, "://"); at >= 0 {
		host, _, _ := strings.Cut(path[at+3:], "/")
		origin = path[:at+3] + host
	}
	if parse(origin).fills() {
		return a, fmt.Errorf("%s: the host must be fixed; placeholders may stand in the path and in the query", key)
	}
	if a.path, err = p.template(key, path); err == nil {
		a.query, err = p.template(key, query)
	}
	if err != nil {
		return a, err
	}
	for n := range p.secrets {
		if a.uses(n) && !p.cfg.SecretsInURL {
			return a, fmt.Errorf(
				"%s: the secret {%s} must not stand in an address, where logs keep it; put it into headers or body, or set "+
					"secrets_in_url: true if the gateway knows no other way", key, n)
		}
	}
	return a, nil
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}
