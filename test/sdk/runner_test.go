package sdk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/dialproof/dialproof/client"
	"github.com/dialproof/dialproof/client/clienttest"
)

// scenario is one of scenarios.yaml.
type scenario struct {
	Name  string `yaml:"name"`
	Steps []step `yaml:"steps"`
}

type step struct {
	Do      string         `yaml:"do"`
	With    map[string]any `yaml:"with"`
	Save    string         `yaml:"save"`
	Expect  any            `yaml:"expect"`
	Refused map[string]any `yaml:"refused"`
}

// settings are what a runner is told.
type settings struct {
	URL         string   `json:"url"`
	Key         string   `json:"key"`
	Application string   `json:"application"`
	Secret      string   `json:"secret"`
	EventSecret string   `json:"event_secret"`
	Word        string   `json:"word"`
	Numbers     []string `json:"numbers"`
}

// player plays a scenario through the Go SDK.
type player struct {
	stage     *settings
	saved     map[string]any
	client    *client.Client
	handset   *clienttest.Handset
	verifiers map[string]*client.ProofVerifier
}

func (s *settings) play(ctx context.Context, sc scenario) error {
	c, err := client.New(s.URL, s.Key)
	if err != nil {
		return err
	}
	p := &player{
		stage:     s,
		client:    c,
		handset:   clienttest.NewHandset(s.URL),
		verifiers: map[string]*client.ProofVerifier{},
		saved: map[string]any{
			"word":         s.Word,
			"application":  s.Application,
			"secret":       s.Secret,
			"event_secret": s.EventSecret,
		},
	}
	if _, err := p.ask(ctx, "/stage/fault", map[string]any{}); err != nil {
		return err
	}
	for n, st := range sc.Steps {
		where := fmt.Sprintf("step %d, %s", n+1, st.Do)
		got, err := p.do(ctx, st)
		switch {
		case err != nil && st.Refused == nil:
			return fmt.Errorf("%s: %w", where, err)
		case err != nil:
			err = hold(p.value(st.Refused), refusal(err), where)
		case st.Refused != nil:
			return fmt.Errorf("%s passed: %v", where, got)
		case st.Expect != nil:
			err = hold(p.value(st.Expect), got, where)
		}
		if err != nil {
			return err
		}
		if st.Save != "" {
			p.saved[st.Save] = got
		}
	}
	return nil
}

var inside = regexp.MustCompile(`\$\{([^}]+)\}`)

// value returns what a scenario means by a value.
func (p *player) value(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, x := range v {
			out[k] = p.value(x)
		}
		return out
	case []any:
		var out []any
		for _, x := range v {
			out = append(out, p.value(x))
		}
		return out
	case string:
		if strings.HasPrefix(v, "$") && !strings.HasPrefix(v, "${") {
			return p.name(v[1:])
		}
		return inside.ReplaceAllStringFunc(v, func(m string) string { return fmt.Sprint(p.name(m[2 : len(m)-1])) })
	}
	return v
}

func (p *player) name(path string) any {
	first, _, _ := strings.Cut(path, ".")
	if _, known := p.saved[first]; !known && strings.HasPrefix(first, "number") {
		p.saved[first], p.stage.Numbers = p.stage.Numbers[0], p.stage.Numbers[1:]
	}
	return field(p.saved, path)
}

func (p *player) do(ctx context.Context, st step) (any, error) {
	args, _ := p.value(st.With).(map[string]any)
	text := func(name string) string { s, _ := args[name].(string); return s }
	var opts []client.CallOption
	if key := text("idempotency_key"); key != "" {
		opts = append(opts, client.WithIdempotencyKey(key))
		delete(args, "idempotency_key")
	}
	id := text("id")
	if out, known, err := p.call(ctx, st.Do, id, args, opts); known {
		return out, err
	}
	switch st.Do {
	case "client":
		return nil, p.newClient(args)
	case "code":
		return p.handset.Code(ctx, text("to"))
	case "messages":
		all, err := p.handset.Messages(ctx, text("to"))
		return float64(len(all)), err
	case "wrong":
		return string('0'+(text("code")[0]-'0'+1)%10) + text("code")[1:], nil
	case "code_in":
		return clienttest.CodeIn(text("text")), nil
	case "fault":
		return p.ask(ctx, "/stage/fault", args)
	case "seen":
		return p.ask(ctx, "/stage/seen", nil)
	case "hook":
		return p.ask(ctx, "/stage/hook?to="+url.QueryEscape(text("to")), nil)
	case "event":
		return p.ask(ctx, "/stage/event?"+url.Values{"type": {text("type")}, "id": {id}}.Encode(), nil)
	case "webhook":
		return webhook(args)
	case "proof":
		return p.proof(ctx, args)
	}
	return nil, fmt.Errorf("no such step: %s", st.Do)
}

// call makes the call of the API that a step names. known reports whether it names one.
func (p *player) call(ctx context.Context, name, id string, args map[string]any,
	opts []client.CallOption) (out any, known bool, err error) {
	channel, _ := args["channel"].(string)
	known = true
	switch name {
	case "start":
		out, err = plain(p.client.Start(ctx, as[client.StartRequest](args), opts...))
	case "check":
		out, err = plain(p.client.CheckCode(ctx, id, as[client.CheckCode](args), opts...))
	case "check_by_number":
		out, err = plain(p.client.CheckByNumber(ctx, as[client.CheckRequest](args), opts...))
	case "resend":
		out, err = plain(p.client.Resend(ctx, id, client.Channel(channel), opts...))
	case "cancel":
		out, err = plain(p.client.Cancel(ctx, id, opts...))
	case "get":
		out, err = plain(p.client.Get(ctx, id))
	case "list":
		out, err = p.list(ctx, filter(args))
	case "list_page":
		out, err = plain(p.client.ListPage(ctx, filter(args)))
	default:
		known = false
	}
	return out, known, err
}

func (p *player) list(ctx context.Context, f client.Filter) (any, error) {
	var ids []any
	for v, err := range p.client.List(ctx, f) {
		if err != nil {
			return nil, err
		}
		ids = append(ids, v.ID)
	}
	out := map[string]any{"count": float64(len(ids))}
	if len(ids) > 0 {
		out["first"], out["last"] = ids[0], ids[len(ids)-1]
	}
	return out, nil
}

func (p *player) newClient(args map[string]any) (err error) {
	key := p.stage.Key
	if k, ok := args["key"].(string); ok {
		key = k
	}
	var opts []client.Option
	if s, ok := args["timeout"].(float64); ok {
		opts = append(opts, client.WithTimeout(time.Duration(s*float64(time.Second))))
	}
	if n, ok := args["retries"].(int); ok {
		opts = append(opts, client.WithRetries(n))
	}
	p.client, err = client.New(p.stage.URL, key, opts...)
	return err
}

func webhook(args map[string]any) (any, error) {
	text := func(name string) string { return fmt.Sprint(args[name]) }
	var secrets []string
	for _, s := range args["secrets"].([]any) {
		secrets = append(secrets, s.(string))
	}
	w, err := client.NewWebhooks(secrets...)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	if at, ok := args["now"].(int); ok {
		now = time.Unix(int64(at), 0)
	}
	h := http.Header{}
	h.Set("webhook-id", text("id"))
	h.Set("webhook-timestamp", text("timestamp"))
	h.Set("webhook-signature", text("signature"))
	e, err := w.VerifyAt(h, []byte(text("body")), now)
	if err != nil {
		return nil, err
	}
	out, err := plain(e, nil)
	if m, ok := out.(map[string]any); ok {
		m["id"] = e.ID
		if v, err := e.Verification(); err == nil {
			m["verification"], _ = plain(v, nil)
		}
	}
	return out, err
}

func (p *player) proof(ctx context.Context, args map[string]any) (any, error) {
	application := p.stage.Application
	if a, ok := args["application"].(string); ok {
		application = a
	}
	opts := []client.ProofOption{client.ProofsOfTestKeys()}
	if args["live_only"] == true {
		opts = nil
	}
	name := fmt.Sprint(application, len(opts))
	if p.verifiers[name] == nil {
		v, err := client.NewProofVerifier(p.stage.URL, application, opts...)
		if err != nil {
			return nil, err
		}
		p.verifiers[name] = v
	}
	want := as[struct {
		To           string             `json:"to"`
		Purpose      string             `json:"purpose"`
		Verification string             `json:"verification"`
		Transaction  client.Transaction `json:"transaction"`
	}](args)
	text, _ := args["proof"].(string)
	r, err := p.verifiers[name].Verify(ctx, text,
		client.Expected{To: want.To, Purpose: want.Purpose, Verification: want.Verification, Transaction: want.Transaction})
	if err != nil {
		return nil, err
	}
	out := map[string]any{
		"verification": r.Verification,
		"application":  r.Application,
		"number":       r.Number,
		"mode":         r.Mode,
		"channel":      string(r.Channel),
		"country":      r.Country,
		"purpose":      r.Purpose,
		"methods":      r.Methods,
		"transaction":  r.Transaction,
	}
	if r.Number == "" {
		out["number"] = nil
	}
	if r.Transaction == (client.Transaction{}) {
		out["transaction"] = nil
	}
	return plain(out, nil)
}

// ask talks to the stage.
func (p *player) ask(ctx context.Context, path string, body map[string]any) (out any, err error) {
	method := http.MethodGet
	if body != nil {
		method = http.MethodPost
	}
	text, _ := json.Marshal(body)
	req, err := http.NewRequestWithContext(ctx, method, p.stage.URL+path, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.ContentLength == 0 {
		return nil, nil
	}
	return out, json.NewDecoder(resp.Body).Decode(&out)
}

// as makes a request of what a scenario gives.
func as[T any](args map[string]any) (out T) {
	text, _ := json.Marshal(args)
	_ = json.Unmarshal(text, &out)
	return out
}

func filter(args map[string]any) client.Filter {
	f := as[struct {
		To, Status, Purpose, Cursor string
		Limit                       int
		CreatedBefore               time.Time `json:"created_before"`
	}](args)
	return client.Filter{
		To:            f.To,
		Status:        client.Status(f.Status),
		Purpose:       f.Purpose,
		Cursor:        f.Cursor,
		PageSize:      f.Limit,
		CreatedBefore: f.CreatedBefore,
	}
}

// plain makes an answer what JSON has.
func plain(answer any, err error) (out any, _ error) {
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return nil, err
	}
	return out, json.Unmarshal(text, &out)
}

func refusal(err error) any {
	if e, ok := errors.AsType[*client.Error](err); ok {
		out, _ := plain(e.Problem, nil)
		m := out.(map[string]any)
		m["retry_after"], m["request_id"] = e.RetryAfter.Seconds(), e.Instance
		return m
	}
	return map[string]any{
		"webhook": errors.Is(err, client.ErrWebhook),
		"proof":   errors.Is(err, client.ErrProof),
		"timeout": errors.Is(err, context.DeadlineExceeded),
	}
}

func field(value any, path string) any {
	for part := range strings.SplitSeq(path, ".") {
		switch v := value.(type) {
		case map[string]any:
			value = v[part]
		case []any:
			n, err := strconv.Atoi(part)
			if err != nil || n >= len(v) {
				return nil
			}
			value = v[n]
		default:
			return nil
		}
	}
	return value
}

// hold returns an error unless the answer is as expected.
func hold(want, got any, where string) error {
	fail := func(ok bool) error {
		if ok {
			return nil
		}
		return fmt.Errorf("%s is %#v, want %#v", where, got, want)
	}
	switch w := want.(type) {
	case map[string]any:
		for path, x := range w {
			if err := hold(x, field(got, path), where+"."+path); err != nil {
				return err
			}
		}
		return nil
	case nil:
		return fail(got == nil || got == "") // Go says nothing by the zero value
	case int:
		return fail(got == float64(w))
	case string:
		if n, err := strconv.ParseFloat(strings.TrimPrefix(w, ">"), 64); err == nil && strings.HasPrefix(w, ">") {
			f, ok := got.(float64)
			return fail(ok && f > n)
		}
		if w == "*" {
			return fail(got != nil && got != "")
		}
	}
	return fail(got == want)
}
