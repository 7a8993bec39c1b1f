// Package clienttest lets an application's tests verify numbers without a phone: it reads codes off the handset of
// `dialproof dev`, and starts `dialproof dev` where none runs. It is for tests alone: a production server has no
// handset.
//
//	dev := clienttest.Start(t)
//	c, err := client.New(dev.URL, dev.Key)
//	v, err := c.Start(ctx, client.StartRequest{To: "+447700900123"})
//	code, err := dev.Code(ctx, "+447700900123")
//	a, err := c.Check(ctx, v.ID, code)
package clienttest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/dialproof/dialproof/client"
)

// Patience is how long Code waits for a message when its context ends no sooner.
const Patience = 10 * time.Second

// Handset is the phone of a `dialproof dev`. It is safe for many goroutines.
type Handset struct {
	base string
	http *http.Client
	mu   sync.Mutex
	read map[string]time.Time // number → the newest message that Code has answered
}

// NewHandset returns the handset of the server at baseURL, for example "http://127.0.0.1:8080".
func NewHandset(baseURL string) *Handset {
	return &Handset{
		base: strings.TrimSuffix(baseURL, "/"),
		http: &http.Client{Timeout: Patience},
		read: map[string]time.Time{},
	}
}

// Messages returns what a number got, newest first. The number is E.164; empty means all numbers.
func (h *Handset) Messages(ctx context.Context, to string) ([]client.HandsetMessage, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.base+"/dev/messages?to="+url.QueryEscape(to), nil)
	if err != nil {
		return nil, err
	}
	resp, err := h.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("no handset at %s: %w; does `dialproof dev` run there?", h.base, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 8<<20))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("no handset at %s: it answers %s; `dialproof dev` has one", h.base, resp.Status)
	}
	var all []client.HandsetMessage
	return all, json.Unmarshal(text, &all)
}

// Code returns the code in the newest message to a number. Each message is answered once: the next call waits for the
// next message. It waits Patience at most.
func (h *Handset) Code(ctx context.Context, to string) (string, error) {
	ctx, stop := context.WithTimeout(ctx, Patience)
	defer stop()
	for {
		all, err := h.Messages(ctx, to)
		if err != nil && ctx.Err() == nil {
			return "", err
		}
		if len(all) > 0 && h.fresh(to, all[0].At) {
			code := CodeIn(all[0].Text)
			if code == "" {
				return "", errors.New("the newest message holds no code")
			}
			return code, nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return "", fmt.Errorf("no new message to %s: %w", to, ctx.Err())
		}
	}
}

// fresh notes that a message is read now, and reports whether it was not before.
func (h *Handset) fresh(to string, at time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !at.After(h.read[to]) {
		return false
	}
	h.read[to] = at
	return true
}

var (
	word   = regexp.MustCompile(`\+?[\p{L}\p{N}]+(?:[.,]\p{N}+)*`)
	code   = regexp.MustCompile(`^[0-9A-Z]{6,10}$`)
	spoken = regexp.MustCompile(`\b[0-9A-Z](?:, [A-Z][a-z-]+)?(?:, [0-9A-Z]\b(?:, [A-Z][a-z-]+)?){5,9}`)
	letter = regexp.MustCompile(`\b[0-9A-Z]\b`)
)

// CodeIn returns the code in the text of a message or a call, and "" when there is none. A code is 6 to 10 digits and
// capitals; in a call they are said one by one. Of several candidates the first with a digit is taken.
func CodeIn(text string) string {
	if said := spoken.FindString(text); said != "" {
		return strings.Join(letter.FindAllString(strings.ReplaceAll(said, "X-ray", ""), -1), "")
	}
	letters := ""
	for _, w := range word.FindAllString(text, -1) {
		switch {
		case !code.MatchString(w):
		case strings.ContainsAny(w, "0123456789"):
			return w
		case letters == "":
			letters = w
		}
	}
	return letters
}
