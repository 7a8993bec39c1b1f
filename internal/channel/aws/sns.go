package aws

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // signature version 1 is SNS's; whoever can, chooses version 2 for the topic
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/rest"
)

// How far the time of an SNS message may be off. SNS repeats a message that it could not deliver for some hours.
const (
	maxAhead = 5 * time.Minute
	maxAge   = 24 * time.Hour
)

// fetching is how long a certificate or a confirmation may take.
const fetching = 5 * time.Second

// pause is how long after a failure no certificate is asked for, so that receipts do not queue behind SNS's silence.
const pause = 10 * time.Second

// maxCerts is how many certificates are kept. SNS has one for each region and changes it about once a year.
const maxCerts = 4

// minKey is the shortest RSA key that is believed, in bits.
const minKey = 2048

// The types of SNS messages.
const (
	notification = "Notification"
	confirmation = "SubscriptionConfirmation"
	farewell     = "UnsubscribeConfirmation"
)

// notice is what SNS posts (SNS Developer Guide, "HTTP/HTTPS notification JSON format").
type notice struct {
	Type         string  `json:"Type"`
	ID           string  `json:"MessageId"`
	Token        string  `json:"Token"`
	Topic        string  `json:"TopicArn"`
	Subject      *string `json:"Subject"`
	Message      string  `json:"Message"`
	Timestamp    string  `json:"Timestamp"`
	Version      string  `json:"SignatureVersion"`
	Signature    string  `json:"Signature"`
	CertURL      string  `json:"SigningCertURL"`
	SubscribeURL string  `json:"SubscribeURL"`
}

var certPath = regexp.MustCompile(`^/SimpleNotificationService-[A-Za-z0-9]+\.pem$`)

// read returns an SNS message of our topic whose signature may be looked at. SNS signs for every topic of everybody, so
// the topic is as much of the proof as the signature.
func (s *sender) read(r channel.Callback) (notice, *channel.Error) {
	var n notice
	if json.Unmarshal(r.Body, &n) != nil {
		return n, rest.Refused(name, "body", "the receipt is no message of SNS: is raw message delivery switched off?")
	}
	if s.cfg.TopicARN == "" || n.Topic != s.cfg.TopicARN {
		return n, rest.Refused(name, "topic", "the receipt is not from topic_arn")
	}
	at, err := time.Parse(time.RFC3339, n.Timestamp)
	if err != nil || at.After(r.Now.Add(maxAhead)) || at.Before(r.Now.Add(-maxAge)) {
		return n, rest.Refused(name, "time", "the receipt's time is missing or too far off")
	}
	if u := s.own(n.CertURL); u == nil || !certPath.MatchString(u.Path) || u.RawQuery != "" {
		return n, rest.Refused(name, "signature", "the receipt's certificate is not at SNS in the topic's region")
	}
	return n, nil
}

// own returns an address if it is one of SNS in the region of our topic, by https; otherwise nil.
func (s *sender) own(address string) *url.URL {
	part := topicForm.FindStringSubmatch(s.cfg.TopicARN)
	u, err := url.Parse(address)
	if err != nil || part == nil || u.Scheme != "https" || u.User != nil || u.Host != "sns."+part[1]+"."+domain(part[1]) {
		return nil
	}
	return u
}

// signedText returns what SNS has signed: names and values of some fields, line by line, by name.
func (n notice) signedText() []byte {
	var b strings.Builder
	add := func(key, value string) { b.WriteString(key + "\n" + value + "\n") }
	add("Message", n.Message)
	add("MessageId", n.ID)
	if n.Type == notification && n.Subject != nil {
		add("Subject", *n.Subject)
	}
	if n.Type != notification {
		add("SubscribeURL", n.SubscribeURL)
	}
	add("Timestamp", n.Timestamp)
	if n.Type != notification {
		add("Token", n.Token)
	}
	add("TopicArn", n.Topic)
	add("Type", n.Type)
	return []byte(b.String())
}

// signedBy reports whether a message was signed with the key: version 1 is SHA-1 with RSA, version 2 SHA-256.
func (n notice) signedBy(key *rsa.PublicKey) bool {
	signature, err := base64.StdEncoding.DecodeString(n.Signature)
	if err != nil {
		return false
	}
	switch n.Version {
	case "1":
		sum := sha1.Sum(n.signedText()) //nolint:gosec // see the import
		return rsa.VerifyPKCS1v15(key, crypto.SHA1, sum[:], signature) == nil
	case "2":
		sum := sha256.Sum256(n.signedText())
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature) == nil
	}
	return false
}

// certificates are SNS's certificates by their address. The zero value has none.
type certificates struct {
	mu      sync.Mutex
	known   map[string]*x509.Certificate
	resting time.Time
}

// key returns the key of a certificate, which is fetched once. One caller fetches at a time.
func (c *certificates) key(ctx context.Context, client *http.Client, address string,
	now time.Time) (*rsa.PublicKey, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	cert := c.known[address]
	if cert == nil || now.After(cert.NotAfter) {
		if now.Before(c.resting) {
			return nil, false
		}
		if cert = fetch(ctx, client, address); cert == nil {
			c.resting = now.Add(pause)
			return nil, false
		}
		if c.known == nil || len(c.known) >= maxCerts {
			c.known = map[string]*x509.Certificate{}
		}
		c.known[address] = cert
	}
	key, ok := cert.PublicKey.(*rsa.PublicKey)
	return key, ok && key.N.BitLen() >= minKey && !now.Before(cert.NotBefore) && !now.After(cert.NotAfter)
}

// fetch returns the certificate at an address, or nil.
func fetch(ctx context.Context, client *http.Client, address string) *x509.Certificate {
	body, ok := get(ctx, client, address)
	block, _ := pem.Decode(body)
	if !ok || block == nil {
		return nil
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil
	}
	return cert
}

// get returns what stands at an address that was found to be SNS's.
func get(ctx context.Context, client *http.Client, address string) ([]byte, bool) {
	ctx, cancel := context.WithTimeout(ctx, fetching)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, false
	}
	a, err := channel.Do(ctx, client, name, req)
	return a.Body, err == nil && a.Status == http.StatusOK
}

// confirm takes a subscription, so that nobody has to copy an address from a log. Only our topic gets this far, and
// only with SNS's signature.
func (s *sender) confirm(ctx context.Context, n notice) error {
	u := s.own(n.SubscribeURL)
	if u == nil || u.Query().Get("Action") != "ConfirmSubscription" || u.Query().Get("TopicArn") != s.cfg.TopicARN {
		return rest.Refused(name, "subscribe_url", "the subscription's address is not at SNS in the topic's region")
	}
	if _, ok := get(ctx, s.api.HTTP, n.SubscribeURL); !ok {
		return &channel.Error{
			Kind:     channel.Unavailable,
			Provider: name,
			Code:     "subscription",
			Detail:   "the subscription could not be confirmed at SNS",
		}
	}
	s.log.Info("the subscription to the topic is confirmed", "route", s.route)
	return nil
}
