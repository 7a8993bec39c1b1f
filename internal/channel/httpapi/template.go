package httpapi

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/message"
)

// piece is plain text, or the name of a placeholder.
type piece struct{ text, name string }

// template is a text with placeholders. Parsing never fails: what looks like no placeholder is text, and which names
// there are is checked by whoever knows them.
type template []piece

// placeholderForm finds {name}, and {{name}}, which stands for the text {name}. Other braces are text, so that JSON
// needs no escapes.
var placeholderForm = regexp.MustCompile(`\{\{([a-z][a-z0-9_]*)\}\}|\{([a-z][a-z0-9_]*)\}`)

func parse(s string) (t template) {
	for s != "" {
		at := placeholderForm.FindStringSubmatchIndex(s)
		if at == nil {
			return append(t, piece{text: s})
		}
		if at[0] > 0 {
			t = append(t, piece{text: s[:at[0]]})
		}
		if at[2] >= 0 {
			t = append(t, piece{text: "{" + s[at[2]:at[3]] + "}"})
		} else {
			t = append(t, piece{name: s[at[4]:at[5]]})
		}
		s = s[at[1]:]
	}
	return t
}

// fills reports whether the template has a placeholder at all.
func (t template) fills() bool {
	return slices.ContainsFunc(t, func(p piece) bool { return p.name != "" })
}

// fill returns the text with its placeholders filled, each value escaped for where it stands.
func (t template) fill(values map[string]string, escape func(string) string) string {
	var b strings.Builder
	for _, p := range t {
		if p.name == "" {
			b.WriteString(p.text)
		} else {
			b.WriteString(escape(values[p.name]))
		}
	}
	return b.String()
}

// asItIs is the escaping of a context that has none.
func asItIs(s string) string { return s }

// template parses a text of the request, holds that its placeholders exist, and notes that they are used.
func (p *plan) template(key, s string) (template, error) {
	t := parse(s)
	for _, piece := range t {
		if piece.name == "" {
			continue
		}
		if err := p.exists(key, piece.name); err != nil {
			return nil, err
		}
		p.uses[piece.name] = true
	}
	return t, nil
}

// exists returns an error that names what there is, when there is no such placeholder.
func (p *plan) exists(key, name string) error {
	_, isSecret := p.secrets[name]
	if isSecret || slices.Contains(p.known(), name) {
		return nil
	}
	all := p.known()
	for s := range p.secrets {
		all = append(all, s)
	}
	slices.Sort(all)
	return fmt.Errorf("%s: there is no placeholder {%s}; there are {%s}. Write {{%s}} for the text itself", key, name,
		strings.Join(all, "}, {"), name)
}

// known returns the placeholders of every message, without the secrets.
func (p *plan) known() []string {
	return append([]string{
		"to", "to_digits", "to_national", "email", "from", "from_digits", "text", "code", "brand", "purpose", "locale",
		"country", "channel", "delivery", "callback", "token", "ttl", "minutes", "expires", "expires_unix", "parts",
		"encoding", "unicode", "dlt_entity_id", "dlt_template_id", "campaign_id",
	}, p.cfg.Regulatory...)
}

// numeric reports whether a placeholder is always a number as JSON writes it.
func numeric(name string) bool {
	return slices.Contains([]string{"to_digits", "ttl", "minutes", "expires_unix", "parts", "unicode"}, name)
}

// values returns what fills the placeholders for a message.
func (s *sender) values(m channel.Message) map[string]string {
	left := max(m.ExpiresAt.Sub(s.now()), time.Second)
	if m.ExpiresAt.IsZero() {
		left = 5 * time.Minute
	}
	expires := s.now().Add(left).UTC()
	from := m.From
	if from == "" {
		from = s.cfg.From
	}
	text := m.Text.Body
	if m.Channel == channel.Voice {
		text = m.Spoken.Script()
	}
	unicode := "0"
	if m.Text.Encoding == message.UCS2 {
		unicode = "1"
	}
	digits := strings.TrimPrefix(m.To.E164(), "+")
	v := map[string]string{
		"to": m.To.E164(), "to_digits": digits, "to_national": strings.TrimPrefix(digits, strconv.Itoa(m.To.CallingCode())),
		"email": m.Email, "from": from, "from_digits": strings.TrimPrefix(from, "+"), "text": text, "code": m.Code.Reveal(),
		"brand": m.Brand, "purpose": m.Purpose, "locale": m.Locale, "country": m.To.Country(), "channel": string(m.Channel),
		"delivery": m.Delivery, "callback": m.Callback, "token": m.Token,
		"ttl": strconv.Itoa(int(left / time.Second)), "minutes": strconv.Itoa(int((left + time.Minute - 1) / time.Minute)),
		"expires": expires.Format(time.RFC3339), "expires_unix": strconv.FormatInt(expires.Unix(), 10),
		"parts": strconv.Itoa(max(m.Text.Parts, 1)), "encoding": m.Text.Encoding.String(), "unicode": unicode,
	}
	for _, key := range append([]string{"dlt_entity_id", "dlt_template_id", "campaign_id"}, s.cfg.Regulatory...) {
		if _, taken := v[key]; !taken {
			v[key] = m.Regulatory[key]
		}
	}
	maps.Copy(v, s.secrets)
	return v
}
