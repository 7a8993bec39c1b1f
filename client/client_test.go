package client

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// seen is one request as the fake server took it.
type seen struct {
	method, path, query, key, idempotency, body string
}

// fake answers the given answers in turn and repeats the last one.
type fake struct {
	answers  []answer
	requests []seen
	waits    []time.Duration
}

type answer struct {
	status int
	retry  string
	body   string
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	f.requests = append(f.requests, seen{
		r.Method, r.URL.Path, r.URL.RawQuery, r.Header.Get("Authorization"), r.Header.Get("Idempotency-Key"), string(body),
	})
	a := f.answers[min(len(f.requests), len(f.answers))-1]
	if a.retry != "" {
		w.Header().Set("Retry-After", a.retry)
	}
	w.WriteHeader(a.status)
	io.WriteString(w, a.body)
}

func serve(t *testing.T, answers ...answer) (*fake, *Client) {
	t.Helper()
	f := &fake{answers: answers}
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	c, err := New(s.URL+"/", "dp_test_1")
	if err != nil {
		t.Fatal(err)
	}
	c.jitter = func() float64 { return 0 }
	c.wait = func(_ context.Context, d time.Duration) error { f.waits = append(f.waits, d); return nil }
	return f, c
}

const pendingBody = `{"id":"vrf_1","status":"pending","to":"+44•••••••123","country":"GB","attempts_left":5,
	"created_at":"2026-11-23T08:00:00Z","deliveries":[{"id":"dlv_1","channel":"sms","status":"queued"}],"new_field":1}`

func TestStart(t *testing.T) {
	t.Parallel()
	f, c := serve(t, answer{201, "", pendingBody})
	v, err := c.Start(t.Context(), StartRequest{To: "+447700900123", Metadata: map[string]string{"user": "42"}})
	if err != nil {
		t.Fatal(err)
	}
	if v.ID != "vrf_1" || v.Status != StatusPending || v.AttemptsLeft != 5 || len(v.Deliveries) != 1 {
		t.Errorf("got %+v", v)
	}
	r := f.requests[0]
	if r.method != "POST" || r.path != "/v1/verifications" || r.key != "Bearer dp_test_1" || r.idempotency == "" {
		t.Errorf("sent %+v", r)
	}
	if want := `{"metadata":{"user":"42"},"to":"+447700900123"}`; r.body != want {
		t.Errorf("sent the body %s, want %s", r.body, want)
	}
}

func TestCalls(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		call func(context.Context, *Client) error
		want string
	}{
		{"check", func(ctx context.Context, c *Client) error { _, err := c.Check(ctx, "vrf_1", "123456"); return err },
			`POST /v1/verifications/vrf_1/check {"code":"123456"}`},
		{"check by number", func(ctx context.Context, c *Client) error {
			_, err := c.CheckByNumber(ctx, CheckRequest{To: "+447700900123", Purpose: "login", Code: "1"})
			return err
		}, `POST /v1/verifications/check {"code":"1","purpose":"login","to":"+447700900123"}`},
		{"resend", func(ctx context.Context, c *Client) error { _, err := c.Resend(ctx, "vrf_1", "voice"); return err },
			`POST /v1/verifications/vrf_1/resend {"channel":"voice"}`},
		{"cancel", func(ctx context.Context, c *Client) error { _, err := c.Cancel(ctx, "vrf_1"); return err },
			`POST /v1/verifications/vrf_1/cancel {}`},
		{"get", func(ctx context.Context, c *Client) error { _, err := c.Get(ctx, "vrf_1"); return err },
			`GET /v1/verifications/vrf_1 `},
		{"an id with a slash stays one segment",
			func(ctx context.Context, c *Client) error { _, err := c.Get(ctx, "../keys"); return err },
			`GET /v1/verifications/../keys `},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f, c := serve(t, answer{200, "", `{}`})
			if err := tc.call(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			if got := f.requests[0].method + " " + f.requests[0].path + " " + f.requests[0].body; got != tc.want {
				t.Errorf("sent %s, want %s", got, tc.want)
			}
		})
	}
}

func TestRepetitions(t *testing.T) {
	t.Parallel()
	problem := func(code Code) string { return `{"code":"` + string(code) + `","status":0,"detail":"no"}` }
	for _, tc := range []struct {
		name    string
		answers []answer
		code    Code // of the error; "" for success
		waits   []time.Duration
	}{
		{"full, then room", []answer{{503, "1", problem(CodeBusy)}, {200, "", `{}`}}, "", []time.Duration{time.Second}},
		{"full for long", []answer{{503, "60", problem(CodeBusy)}}, CodeBusy, nil},
		{"always full", []answer{{503, "", problem(CodeBusy)}}, CodeBusy,
			[]time.Duration{200 * time.Millisecond, 400 * time.Millisecond, 800 * time.Millisecond}},
		{"a short limit", []answer{{429, "2", problem(CodeRateLimited)}, {200, "", `{}`}}, "",
			[]time.Duration{2 * time.Second}},
		{"a long limit", []answer{{429, "30", problem(CodeRateLimited)}}, CodeRateLimited, nil},
		{"in flight", []answer{{409, "", problem(CodeIdempotencyInFlight)}, {200, "", `{}`}}, "",
			[]time.Duration{200 * time.Millisecond}},
		{"another conflict", []answer{{409, "", problem(CodeNotPending)}}, CodeNotPending, nil},
		{"refused", []answer{{422, "", problem(CodeInvalidRequest)}}, CodeInvalidRequest, nil},
		{"a date of a proxy", []answer{{503, "Fri, 31 Dec 1999 23:59:59 GMT", problem(CodeBusy)}, {200, "", `{}`}}, "",
			[]time.Duration{200 * time.Millisecond}},
		{"a proxy's page", []answer{{404, "", "<html>"}}, CodeBadAnswer, nil},
		{"a redirect is not followed", []answer{{302, "", ""}}, CodeBadAnswer, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f, c := serve(t, tc.answers...)
			_, err := c.Cancel(t.Context(), "vrf_1")
			e, _ := errors.AsType[*Error](err)
			if (err == nil) != (tc.code == "") || (e != nil && e.Code != tc.code) {
				t.Errorf("got %v, want the code %q", err, tc.code)
			}
			if len(f.waits) != len(tc.waits) {
				t.Fatalf("waited %v, want %v", f.waits, tc.waits)
			}
			for i, w := range tc.waits {
				if f.waits[i] != w {
					t.Errorf("waited %v, want %v", f.waits, tc.waits)
				}
			}
			for _, r := range f.requests {
				if r.idempotency != f.requests[0].idempotency {
					t.Error("a repetition came under another idempotency key: it could send twice")
				}
			}
		})
	}
}

func TestIdempotencyKeyOfTheCaller(t *testing.T) {
	t.Parallel()
	f, c := serve(t, answer{503, "", "{}"}, answer{201, "", "{}"})
	if _, err := c.Start(t.Context(), StartRequest{To: "+447700900123"}, WithIdempotencyKey("order-42")); err != nil {
		t.Fatal(err)
	}
	if len(f.requests) != 2 || f.requests[0].idempotency != "order-42" || f.requests[1].idempotency != "order-42" {
		t.Errorf("sent %+v, want the caller's key twice", f.requests)
	}
}

func TestJitter(t *testing.T) {
	t.Parallel()
	f, c := serve(t, answer{503, "", "{}"}, answer{200, "", "{}"})
	c.jitter = func() float64 { return 0.8 }
	if _, err := c.Cancel(t.Context(), "vrf_1"); err != nil || len(f.waits) != 1 || f.waits[0] != 240*time.Millisecond {
		t.Errorf("waited %v, %v; want a fifth more than 200 ms", f.waits, err)
	}
}

// deaf is a server that never answers.
type deaf struct{ tries int }

func (d *deaf) RoundTrip(r *http.Request) (*http.Response, error) {
	d.tries++
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	d := &deaf{}
	c := Must(New("http://127.0.0.1:1", "dp_test_1", WithTimeout(time.Millisecond), WithRetries(1),
		WithHTTPClient(&http.Client{Transport: d})))
	c.wait = func(context.Context, time.Duration) error { return nil }
	_, err := c.Get(t.Context(), "vrf_1")
	if !errors.Is(err, context.DeadlineExceeded) || d.tries != 2 || CodeOf(err) != "" {
		t.Errorf("got %v after %d tries, want the time-out of two", err, d.tries)
	}
}

func TestRetryAfterAsDate(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "-1": 0, "soon": 0, "9999999": 24 * time.Hour,
		"Mon, 23 Nov 2026 09:00:30 GMT": 30 * time.Second, "Mon, 23 Nov 2026 08:00:00 GMT": 0,
	} {
		if got := retryAfter(http.Header{"Retry-After": {text}}, now); got != want {
			t.Errorf("Retry-After: %q is %v, want %v", text, got, want)
		}
	}
}

func TestErrorText(t *testing.T) {
	t.Parallel()
	_, c := serve(t,
		answer{422, "",
			`{"status":422,"code":"invalid_request","title":"Unprocessable","detail":"the request has one invalid field",` +
				`"errors":[{"field":"to","code":"invalid_number","detail":"is not a phone number"}]}`})
	_, err := c.Start(t.Context(), StartRequest{To: "12"})
	want := "dialproof: invalid_request (422): the request has one invalid field; to: is not a phone number"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestNoAnswerHidesTheNumber(t *testing.T) {
	t.Parallel()
	c, err := New("http://127.0.0.1:1", "dp_test_1", WithRetries(0))
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range c.List(t.Context(), Filter{To: "+447700900123"}) {
		if err == nil || strings.Contains(err.Error(), "7700900123") {
			t.Errorf("got %v, want an error without the number", err)
		}
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	page := func(next string, ids ...string) string {
		var data []map[string]string
		for _, id := range ids {
			data = append(data, map[string]string{"id": id})
		}
		b, _ := json.Marshal(map[string]any{"data": data, "next_cursor": next})
		return string(b)
	}
	f, c := serve(t, answer{200, "", page("c2", "a", "b")}, answer{200, "", page("", "c")})
	var got []string
	for v, err := range c.List(t.Context(), Filter{Status: StatusApproved, PageSize: 2}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, v.ID)
	}
	if strings.Join(got, "") != "abc" || f.requests[0].query != "limit=2&status=approved" ||
		f.requests[1].query != "cursor=c2&limit=2&status=approved" {
		t.Errorf("got %v by %+v", got, f.requests)
	}
	for range c.List(t.Context(), Filter{}) {
		break // a reader may stop when it likes
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ url, key string }{{"", "k"}, {"ftp://x", "k"}, {"127.0.0.1:8080", "k"}, {"http://x", ""},
		{"http://x", "a\nb"}} {
		if _, err := New(tc.url, tc.key); err == nil {
			t.Errorf("New(%q, %q) passed", tc.url, tc.key)
		}
	}
}
