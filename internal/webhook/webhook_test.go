package webhook_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	oracle "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/verify"
	"github.com/dialproof/dialproof/internal/webhook"
)

// The vector of the Standard Webhooks project (its Go test).
func TestSignVector(t *testing.T) {
	t.Parallel()
	key, err := base64.StdEncoding.DecodeString("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	got := webhook.Sign([][]byte{key}, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0),
		[]byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestRotation: for a day both secrets sign, and then the new one alone.
func TestRotation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		e, first, err := w.hooks.Create(t.Context(), webhook.Endpoint{App: id.ID{1}, URL: "https://shop.example/"})
		if err != nil {
			t.Fatal(err)
		}
		e, second, err := w.hooks.Rotate(t.Context(), e.ID)
		if err != nil {
			t.Fatal(err)
		}
		believed := func() (out []bool) {
			now := time.Now()
			keys, err := webhook.Keys(w.hooks.Ring, &e, now)
			if err != nil {
				t.Fatal(err)
			}
			h := http.Header{}
			h.Set("Webhook-Id", "evt_1")
			h.Set("Webhook-Timestamp", strconv.FormatInt(now.Unix(), 10))
			h.Set("Webhook-Signature", webhook.Sign(keys, "evt_1", now, []byte(`{}`)))
			for _, s := range []string{first.Reveal(), second.Reveal()} {
				library, err := oracle.NewWebhook(s)
				if err != nil {
					t.Fatal(err)
				}
				out = append(out, library.Verify([]byte(`{}`), h) == nil)
			}
			return out
		}
		if got := believed(); !got[0] || !got[1] {
			t.Errorf("at once: %v", got)
		}
		time.Sleep(webhook.Overlap)
		if got := believed(); got[0] || !got[1] {
			t.Errorf("a day later: %v", got)
		}
		if strings.Contains(first.String()+second.String(), "whsec") {
			t.Error("a secret prints itself")
		}
		for range 10 {
			if e, _, err = w.hooks.Rotate(t.Context(), e.ID); err != nil || len(e.Secrets) > 4 {
				t.Fatalf("%d secrets, %v", len(e.Secrets), err)
			}
		}
	})
}

// TestAddresses: what is not on the public internet is not called, in whatever form it is written.
func TestAddresses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"127.0.0.1", "127.8.8.8", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
		"169.254.169.254", "100.64.0.1", "100.100.100.200", "192.0.0.192", "192.0.2.1", "198.18.0.1", "198.51.100.1",
		"203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "168.63.129.16", "192.88.99.1", "::", "::1",
		"::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1", "::10.0.0.1", "fe80::1", "fe80::1%eth0", "fc00::1",
		"fd00:ec2::254", "fec0::1", "ff02::1", "64:ff9b::a00:1", "64:ff9b::a9fe:a9fe", "64:ff9b::7f00:1", "64:ff9b:1::a00:1",
		"2001:db8::1", "2001::1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "3fff::1", "5f00::1", "100::1",
	} {
		if webhook.Public(netip.MustParseAddr(text)) {
			t.Errorf("%s is taken for a public address", text)
		}
	}
	for _, text := range []string{"93.184.216.34", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700:4700::1111",
		"2a00:1450::1", "64:ff9b::101:101", "::ffff:1.1.1.1"} {
		if !webhook.Public(netip.MustParseAddr(text)) {
			t.Errorf("%s is not taken for a public address", text)
		}
	}
}

// TestURLs holds what is refused when an endpoint is made, and the words for it.
func TestURLs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	make := func(url string) error {
		_, _, err := w.hooks.Create(t.Context(), webhook.Endpoint{App: id.ID{1}, URL: url})
		return err
	}
	for url, word := range map[string]string{
		"": "like https://", "shop.example/hook": "like https://", "http://shop.example/": "https",
		"ftp://shop.example/": "https", "https:///hook": "like https://",
		"https://user:pw@shop.example/": "password", "https://shop.example/#a": "fragment",
		"https://localhost/": "this machine", "https://LOCALHOST./": "this machine",
		"https://127.0.0.1/": "public", "https://[::1]/": "public", "https://[::ffff:10.0.0.1]:8443/": "public",
		"https://169.254.169.254/latest": "public",
		"https://a.localhost/":           "this machine", "https://shop.example/ x": "like https://", "https://" +
			strings.Repeat("a", 2048): "2048",
	} {
		if e, ok := errors.AsType[*webhook.FieldError](make(url)); !ok || e.Field != "url" ||
			!strings.Contains(e.Detail, word) {
			t.Errorf("%q: %v, want a word about %q", url, e, word)
		}
	}
	if err := make("https://shop.example:8443/hook?shop=1"); err != nil {
		t.Error(err)
	}
	for _, e := range []webhook.Endpoint{
		{URL: "https://shop.example/", Kinds: []webhook.Kind{"verification.exploded"}},
		{URL: "https://shop.example/", Kinds: []webhook.Kind{webhook.Started, webhook.Started}},
		{URL: "https://shop.example/", Description: "a\nb"},
		{URL: "https://shop.example/", Description: strings.Repeat("a", 257)},
	} {
		if _, _, err := w.hooks.Create(t.Context(), e); err == nil {
			t.Errorf("%+v was taken", e)
		}
	}
	w.hooks.AllowPrivate = true
	for _, url := range []string{"http://127.0.0.1:9000/hook", "https://localhost/", "http://shop.internal/"} {
		if err := make(url); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// TestSchedule holds the published schedule: at once, 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h.
func TestSchedule(t *testing.T) {
	t.Parallel()
	var got []string
	for n := 1; ; n++ {
		wait, ok := webhook.Schedule(n)
		if !ok {
			break
		}
		got = append(got, wait.String())
	}
	if s := strings.Join(got, " "); s != "5s 5m0s 30m0s 2h0m0s 5h0m0s 10h0m0s 14h0m0s 20h0m0s 24h0m0s" ||
		len(got)+1 != webhook.MaxTries {
		t.Errorf("%s", s)
	}
}

// send sends one event to a receiver and answers when it was tried, as seconds after it was made, and how it stands.
func send(t *testing.T, d time.Duration,
	answer func(n int, w http.ResponseWriter, r *http.Request)) (at []int, e webhook.Event, w *world) {
	t.Helper()
	w = newWorld(t)
	begin := time.Now()
	w.endpoint(t, "a.example", "93.184.216.1", func(n int, rw http.ResponseWriter, r *http.Request) {
		at = append(at, int(time.Since(begin).Seconds()))
		answer(n, rw, r)
	})
	w.write(t, 1)
	w.run(t, d)
	all, err := w.db.Events(t.Context(), w.end["a.example"].ID, webhook.Page{Limit: 10})
	if err != nil || len(all) != 1 {
		t.Fatalf("%d events, %v", len(all), err)
	}
	return at, all[0], w
}

// TestAnswers: what each answer of a receiver leads to.
func TestAnswers(t *testing.T) {
	t.Parallel()
	status := func(code int, header ...string) func(int, http.ResponseWriter, *http.Request) {
		return func(n int, w http.ResponseWriter, _ *http.Request) {
			if n > 1 {
				return
			}
			for i := 0; i+1 < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(code)
		}
	}
	for name, tc := range map[string]struct {
		answer func(int, http.ResponseWriter, *http.Request)
		second [2]int // when the second attempt comes, at the earliest and the latest; zero: none
		state  webhook.State
		why    string
	}{
		"200": {status(200), [2]int{}, webhook.Delivered, ""},
		"204": {status(204), [2]int{}, webhook.Delivered, ""},
		"301": {status(301, "Location", "https://b.example/"), [2]int{5, 20}, webhook.Delivered,
			"redirects are not followed"},
		"307": {status(307, "Location", "https://a.example/hook"), [2]int{5, 20}, webhook.Delivered,
			"redirects are not followed"},
		"400":             {status(400), [2]int{5, 20}, webhook.Delivered, "answered 400"},
		"410":             {status(410), [2]int{}, webhook.Dead, "it wants no more events"},
		"429 with a wait": {status(429, "Retry-After", "120"), [2]int{120, 140}, webhook.Delivered, "answered 429"},
		"429 with a date": {status(429, "Retry-After", "Sat, 01 Jan 2000 00:05:00 GMT"), [2]int{299, 320},
			webhook.Delivered, "answered 429"},
		"429 with nonsense": {status(429, "Retry-After", "soon"), [2]int{5, 20}, webhook.Delivered, "answered 429"},
		"429 for a year": {status(429, "Retry-After", "31536000"), [2]int{86400, 86420}, webhook.Delivered,
			"answered 429"},
		"502":                    {status(502), [2]int{5, 20}, webhook.Delivered, "answered 502"},
		"504 with a wait":        {status(504, "Retry-After", "60"), [2]int{60, 80}, webhook.Delivered, "answered 504"},
		"a body without end":     {endless, [2]int{}, webhook.Delivered, ""},
		"a header without end":   {flood, [2]int{5, 20}, webhook.Delivered, "header"},
		"a connection that ends": {hangUp, [2]int{5, 20}, webhook.Delivered, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				at, e, _ := send(t, 25*time.Hour, tc.answer)
				if tc.second == [2]int{} {
					if len(at) != 1 {
						t.Errorf("it was called %d times, at %v", len(at), at)
					}
				} else if len(at) != 2 || at[1] < tc.second[0] || at[1] > tc.second[1] {
					t.Errorf("it was called at %v, want the second between %v", at, tc.second)
				}
				if e.State != tc.state || len(e.Log) == 0 || !strings.Contains(e.Log[0].Error, tc.why) ||
					(tc.why == "") != (e.Log[0].Error == "") {
					t.Errorf("%s, %+v", e.State, e.Log)
				}
			})
		})
	}
}

func endless(_ int, w http.ResponseWriter, r *http.Request) {
	for r.Context().Err() == nil {
		if _, err := w.Write(bytes.Repeat([]byte("x"), 4096)); err != nil {
			return
		}
	}
}

func flood(n int, w http.ResponseWriter, _ *http.Request) {
	if n == 1 {
		w.Header().Set("X-Long", strings.Repeat("x", 1<<20))
	}
}

func hangUp(n int, w http.ResponseWriter, _ *http.Request) {
	if n == 1 {
		panic(http.ErrAbortHandler)
	}
}

// TestFailingEndpoint: after days without one success an endpoint is disabled, with a reason, and one success before
// that sets the count back. What waited goes out when it is enabled again.
func TestFailingEndpoint(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var broken atomic.Bool
		broken.Store(true)
		w.endpoint(t, "a.example", "93.184.216.1", func(_ int, w http.ResponseWriter, _ *http.Request) {
			if broken.Load() {
				w.WriteHeader(http.StatusInternalServerError)
			}
		})
		look := func() webhook.Endpoint {
			e, err := w.hooks.Endpoint(w.end["a.example"].ID)
			if err != nil {
				t.Fatal(err)
			}
			return e
		}
		w.write(t, 1)
		w.run(t, 30*time.Minute)
		if e := look(); !e.Failing.IsZero() {
			t.Errorf("it fails since %v", e.Failing)
		}
		w.run(t, 2*time.Hour)
		since := look().Failing
		if since.IsZero() {
			t.Error("it does not fail")
		}
		broken.Store(false)
		w.run(t, 10*time.Hour)
		if e := look(); !e.Failing.IsZero() {
			t.Error("a success does not count")
		}
		broken.Store(true)
		for range 6 { // a new event each day
			w.write(t, 1)
			w.run(t, 24*time.Hour)
		}
		e := look()
		if e.Enabled() || e.Reason != webhook.ByFailing || e.Disabled.Sub(e.Failing) < webhook.FailingFor {
			t.Errorf("%+v", e)
		}
		calls := w.all["a.example"].calls
		w.run(t, 48*time.Hour)
		if more := w.all["a.example"].calls; more != calls {
			t.Errorf("a disabled endpoint was called %d times", more-calls)
		}
		if _, err := w.hooks.Ping(t.Context(), e.ID); !errors.Is(err, webhook.ErrDisabled) {
			t.Errorf("a ping: %v", err)
		}
		if _, err := w.hooks.Replay(t.Context(), e.ID, id.ID{}, time.Time{}); !errors.Is(err, webhook.ErrDisabled) {
			t.Errorf("a replay: %v", err)
		}
		broken.Store(false)
		if _, err := w.hooks.Update(t.Context(), e.ID, (*webhook.Endpoint).Enable); err != nil {
			t.Fatal(err)
		}
		if _, err := w.hooks.Replay(t.Context(), e.ID, id.ID{}, time.Time{}); err != nil {
			t.Fatal(err)
		}
		w.run(t, time.Minute)
		if got := w.states(t, "a.example"); got[webhook.Delivered] != 7 {
			t.Errorf("%v", got)
		}
	})
}

// TestNobodyListens: where an application has no endpoint, telling costs nothing.
func TestNobodyListens(t *testing.T) {
	w := newWorld(t)
	teller := &verify.Teller{Webhooks: w.hooks, Now: time.Now}
	before, after := &verify.Verification{App: id.ID{2}, Status: verify.Pending}, &verify.Verification{App: id.ID{2},
		Status: verify.Approved}
	look := func() {
		if teller.Changed(before, after) != nil {
			t.Error("there are events")
		}
	}
	if n := testing.AllocsPerRun(100, look); n != 0 {
		t.Errorf("%v allocations with no endpoint at all", n)
	}
	if _, _, err := w.hooks.Create(t.Context(),
		webhook.Endpoint{App: id.ID{1}, URL: "https://shop.example/"}); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, look); n != 0 {
		t.Errorf("%v allocations with an endpoint of another application", n)
	}
	if after.Events != 0 {
		t.Errorf("%d events were counted", after.Events)
	}
}

// TestPing: the body of an event has the form that everybody expects.
func TestPing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.endpoint(t, "a.example", "93.184.216.1", nil)
		e, err := w.hooks.Ping(t.Context(), w.end["a.example"].ID)
		if err != nil {
			t.Fatal(err)
		}
		text, err := w.hooks.Ring.Open(e.Sealed, e.Event[:])
		if err != nil {
			t.Fatal(err)
		}
		var body struct {
			Type, Timestamp string
			Data            map[string]string
		}
		if err := json.Unmarshal(text, &body); err != nil || body.Type != "test.ping" ||
			body.Timestamp != "2000-01-01T00:00:00Z" || body.Data["webhook"] != w.end["a.example"].ID.Text(id.Webhook) {
			t.Errorf("%v: %s", err, text)
		}
		w.run(t, time.Minute)
		if w.all["a.example"].calls != 1 {
			t.Errorf("%d calls", w.all["a.example"].calls)
		}
		if _, err := w.hooks.Write([]*webhook.Endpoint{{}},
			webhook.News{Kind: webhook.Started, Data: bytes.Repeat([]byte("1"), webhook.MaxBody)}); err == nil {
			t.Error("a body of 20 kB was taken")
		}
	})
}

// TestRealDialer: the sender that the program uses does not connect to this machine, by address or by name, with or
// without TLS; with allow_private it does, and then a redirect is not followed and no proxy of the environment is used.
func TestRealDialer(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:9") // nobody is there
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:9")
	var calls, elsewhere atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/redirects" {
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		}
	})
	plain := httptest.NewServer(h)
	defer plain.Close()
	secure := httptest.NewUnstartedServer(h)
	connections := &counting{Listener: secure.Listener}
	secure.Listener = connections
	secure.StartTLS()
	defer secure.Close()
	_, port, _ := net.SplitHostPort(secure.Listener.Addr().String())
	for _, tc := range []struct {
		url     string
		private bool
		results string
	}{
		{secure.URL, false, "refused"},
		{"https://localhost:" + port, false, "refused"},
		{plain.URL, false, "refused"},
		{plain.URL, true, "delivered"},
		{plain.URL + "/redirects", true, "failed"},
		{secure.URL, true, "failed"}, // its certificate is nobody's
	} {
		before := calls.Load()
		if got := try(t, tc.url, tc.private); got != tc.results {
			t.Errorf("%s, private %v: %s, want %s", tc.url, tc.private, got, tc.results)
		}
		if called := calls.Load() > before; called != (strings.HasPrefix(tc.url, "http:") && tc.private) {
			t.Errorf("%s, private %v: called %v", tc.url, tc.private, called)
		}
		if n := connections.n.Load(); !tc.private && n != 0 {
			t.Errorf("%s: there were %d connections", tc.url, n)
		}
	}
	if elsewhere.Load() != 0 {
		t.Error("a redirect was followed")
	}
}

// counting counts connections.
type counting struct {
	net.Listener
	n atomic.Int64
}

func (c *counting) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err == nil {
		c.n.Add(1)
	}
	return conn, err
}

// try sends a ping by the real sender and answers what it came to.
func try(t *testing.T, url string, private bool) string {
	t.Helper()
	w := newWorld(t)
	w.hooks.AllowPrivate = true // the guard at the connection is what is tried here
	e, _, err := w.hooks.Create(t.Context(), webhook.Endpoint{App: id.ID{1}, URL: url})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.hooks.Ping(t.Context(), e.ID); err != nil {
		t.Fatal(err)
	}
	done := make(chan string, 1)
	h := &webhook.Handler{
		Lanes:   &webhook.Lanes{Directory: w.hooks, Workers: 4},
		Sender:  webhook.NewSender(private),
		Log:     slog.New(slog.DiscardHandler),
		Agent:   "test",
		Metrics: first(done),
		Expire:  func(context.Context, id.ID) error { return nil },
	}
	r := h.Runner(nil, 10*time.Millisecond)
	r.Start()
	defer r.Stop(time.Second)
	defer h.Sender.Close()
	select {
	case result := <-done:
		return result
	case <-time.After(20 * time.Second):
		return "nothing"
	}
}

// first is metrics that tell the first result.
type first chan string

func (f first) Webhook(result string) {
	select {
	case f <- result:
	default:
	}
}
