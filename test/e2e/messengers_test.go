package e2e

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// mailbox is a mail server that takes everything.
type mailbox struct {
	net.Listener
	mu    sync.Mutex
	mails []string
}

func newMailbox(t testing.TB) *mailbox {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &mailbox{Listener: l}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go b.serve(conn)
		}
	}()
	return b
}

func (b *mailbox) serve(conn net.Conn) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	in := bufio.NewScanner(conn)
	say := func(s string) { _, _ = io.WriteString(conn, s+"\r\n") }
	say("220 box")
	mail, reading := "", false
	for in.Scan() {
		line := in.Text()
		verb, _, _ := strings.Cut(line, " ")
		switch {
		case reading && line == ".":
			reading = false
			b.mu.Lock()
			b.mails = append(b.mails, mail)
			b.mu.Unlock()
			say("250 ok")
		case reading:
			mail += line + "\n"
		case verb == "DATA":
			reading = true
			say("354 go")
		case verb == "QUIT":
			say("221 bye")
			return
		default:
			mail += line + "\n"
			say("250 ok")
		}
	}
}

func (b *mailbox) got() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.mails)
}

// report sends what a carrier would, signed as the header says, and answers what it is told.
func report(t testing.TB, want int, address, body string, header map[string]string) string {
	t.Helper()
	method := http.MethodPost
	if body == "" {
		method = http.MethodGet
	}
	req, err := http.NewRequest(method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != want {
		t.Fatalf("%s %s is answered with %d %s, want %d", method, body, resp.StatusCode, text, want)
	}
	return string(text)
}

func hmac256(key []byte, text string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

const (
	waNumber  = "106540352242922"
	waSend    = "POST /v23.0/" + waNumber + "/messages"
	tgSend    = "POST /sendVerificationMessage"
	account   = "AC0123456789abcdef0123456789abcdef"
	callSend  = "POST /2010-04-01/Accounts/" + account + "/Calls.json"
	callSID   = "CA0123456789abcdef0123456789abcdef"
	textSend  = "POST /2010-04-01/Accounts/" + account + "/Messages.json"
	textSID   = "SM0123456789abcdef0123456789abcdef"
	authToken = "s3cr3t-auth-token"
	feedback  = "POST /2010-04-01/Accounts/" + account + "/Messages/" + textSID + "/Feedback.json"
)

// carriers is a deployment with a route for each messenger, a phone and a mail server, and carriers that are ours.
type carriers struct {
	*client
	house *house
	box   *mailbox
	told  string // by doctor
	log   *process
}

func newCarriers(t *testing.T) *carriers {
	t.Helper()
	w := &carriers{box: newMailbox(t)}
	w.house = newHouse(t, map[string]string{
		waSend:                    `{"messaging_product":"whatsapp","messages":[{"id":"wamid.one"}]}`,
		"GET /v23.0/" + waNumber:  `{"verified_name":"Shop"}`,
		tgSend:                    `{"ok":true,"result":{"request_id":"tg-one","request_cost":0.01}}`,
		"POST /checkVerification": `{"ok":false,"error":"REQUEST_ID_INVALID"}`,
		callSend:                  `{"sid":"` + callSID + `","status":"queued"}`,
		textSend:                  `{"sid":"` + textSID + `","status":"queued","num_segments":"1"}`,
		feedback:                  `{"outcome":"confirmed"}`,
		"GET /2010-04-01/Accounts/" + account + ".json": `{"status":"active"}`,
	})
	d := deploy(t, "http://127.0.0.1:9", fmt.Sprintf(`    quiet: true
  - name: wa
    provider: whatsapp
    test: true
    settings:
      {url: %[1]q, phone_number_id: "%[2]s", access_token: t0ken, app_secret: app-secret, verify_token: my-own-word,
       template: code, languages: [en_US]}
  - {name: tg, provider: telegram, test: true, settings: {url: %[1]q, token: tg-token}}
  - name: tw
    provider: twilio
    test: true
    sender: "+447700900001"
    settings: {base_url: %[1]q, account_sid: %[3]s, auth_token: %[4]s}
  - {name: post, provider: smtp, test: true,
      settings: {host: 127.0.0.1, port: %[5]d, tls: none, from: codes@example.com}}
limits: {number_gaps: []}
log: {level: debug}
`, w.house.URL, waNumber, account, authToken, w.box.Addr().(*net.TCPAddr).Port))
	w.told = d.run(t, "doctor", "--config", d.config)
	for _, r := range []string{"wa", "tg", "tw", "post"} {
		if !strings.Contains(w.told, "ok     route "+r) {
			t.Errorf("doctor says of %s\n%s", r, w.told)
		}
	}
	w.log = d.serve(t)
	w.client = newClient(t, w.log, d.key)
	return w
}

// start begins a verification and answers its path.
func (w *carriers) start(t *testing.T, body map[string]any) string {
	t.Helper()
	return "/v1/verifications/" + field(w.call(t, http.StatusCreated, http.MethodPost, "/v1/verifications", body), "id")
}

// asked waits for the n-th request to a path.
func (w *carriers) asked(t *testing.T, path string, n int) string {
	t.Helper()
	waitFor(t, 10*time.Second, path, func() bool { return len(w.house.of(path)) >= n })
	return w.house.of(path)[n-1]
}

// comes waits until the record of a verification is as wanted.
func (w *carriers) comes(t *testing.T, v string, want ...string) {
	t.Helper()
	var got []string
	waitFor(t, 10*time.Second, strings.Join(want, ", "), func() bool {
		got, _ = steps(t, w.call(t, http.StatusOK, http.MethodGet, v, nil))
		return slices.Equal(got, want)
	})
}

// approve checks the code and holds what it proves.
func (w *carriers) approve(t *testing.T, v, code, proves string) {
	t.Helper()
	a := w.call(t, http.StatusOK, http.MethodPost, v+"/check", map[string]any{"code": code})
	if field(a, "result") != "approved" || field(a, "proves") != proves {
		t.Errorf("%s, want approved and %s", a.body, proves)
	}
}

func (w *carriers) fixed(t *testing.T, route string) string {
	t.Helper()
	return find(t, `route `+route+`: .*(http://\S+)`, w.told)
}

// spokenIn returns the digits that a call says one by one.
func spokenIn(twiml string) (code string) {
	digit := regexp.MustCompile(`>([0-9])<`)
	for part := range strings.SplitSeq(twiml, `<Pause length="1"/>`) {
		if found := digit.FindStringSubmatch(part); found != nil {
			code += found[1]
		}
	}
	return code
}

// TestMessengers takes each channel through the whole program: asked for over the API, carried by a carrier of ours,
// reported back with the carrier's signature, and checked.
func TestMessengers(t *testing.T) {
	t.Parallel()
	w := newCarriers(t)

	t.Run("whatsapp", func(t *testing.T) {
		v := w.start(t, map[string]any{"to": drama(1), "channel": "whatsapp"})
		order := w.asked(t, waSend, 1)
		code, token := find(t, `"text":"([0-9]{6})"`, order), find(t, `"biz_opaque_callback_data":"([^"]+)"`, order)
		w.comes(t, v, "whatsapp wa accepted")
		fixed := w.fixed(t, "wa")
		if got := report(t, http.StatusOK, fixed+"?hub.mode=subscribe&hub.challenge=42&"+
			"hub.verify_token=my-own-word", "", nil); got != "42" {
			t.Errorf("the handshake is answered %q", got)
		}
		report(t, http.StatusForbidden, fixed+"?hub.mode=subscribe&hub.challenge=42&hub.verify_token=guess", "", nil)
		news := func(status string) string {
			return fmt.Sprintf(`{"object":"whatsapp_business_account",`+
				`"entry":[{"changes":[{"value":{"metadata":{"phone_number_id":%q},"statuses":[{"id":"wamid.one","status":%q,`+
				`"biz_opaque_callback_data":%q}]}}]}]}`, waNumber, status, token)
		}
		sign := func(body string) map[string]string {
			return map[string]string{"X-Hub-Signature-256": "sha256=" + hmac256([]byte("app-secret"), body)}
		}
		report(t, http.StatusForbidden, fixed, news("failed"), sign("another body"))
		report(t, http.StatusOK, fixed, news("delivered"), sign(news("delivered")))
		report(t, http.StatusOK, fixed, news("sent"), sign(news("sent"))) // late, and no way back
		w.comes(t, v, "whatsapp wa delivered")
		w.approve(t, v, code, "phone")
	})

	t.Run("telegram", func(t *testing.T) {
		v := w.start(t, map[string]any{"to": drama(2), "channel": "telegram"})
		var order struct{ Code, Payload string }
		if err := json.Unmarshal([]byte(w.asked(t, tgSend, 1)), &order); err != nil {
			t.Fatal(err)
		}
		w.comes(t, v, "telegram tg accepted")
		body := fmt.Sprintf(`{"request_id":"tg-one","payload":%q,"request_cost":0.01,"delivery_status":{"status":"read",`+
			`"updated_at":1}}`, order.Payload)
		now := strconv.FormatInt(time.Now().Unix(), 10)
		key := sha256.Sum256([]byte("tg-token"))
		report(t, http.StatusForbidden, w.fixed(t, "tg"), body,
			map[string]string{"X-Request-Timestamp": now, "X-Request-Signature": hmac256(key[:], body)})
		report(t, http.StatusOK, w.fixed(t, "tg"), body,
			map[string]string{"X-Request-Timestamp": now, "X-Request-Signature": hmac256(key[:], now+"\n"+body)})
		w.comes(t, v, "telegram tg delivered")
		w.approve(t, v, order.Code, "phone")
		letters := w.start(t, map[string]any{"to": drama(3), "channel": "telegram", "code_alphabet": "alphanumeric"})
		w.comes(t, letters, "telegram tg failed")
		if n := len(w.house.of(tgSend)); n != 1 {
			t.Errorf("%d messages left, want 1: a code with letters is not for Telegram", n)
		}
	})

	t.Run("email", func(t *testing.T) {
		if a := w.call(t, http.StatusUnprocessableEntity, http.MethodPost, "/v1/verifications",
			map[string]any{"to": drama(4), "channel": "email"}); field(a, "code") != "email_required" {
			t.Errorf("without an address: %s", a.body)
		}
		a := w.call(t, http.StatusUnprocessableEntity, http.MethodPost, "/v1/verifications",
			map[string]any{"to": drama(4), "channel": "email", "email": "secret.person@"})
		if field(a, "code") != "invalid_request" || strings.Contains(string(a.body), "secret.person") {
			t.Errorf("with a wrong one: %s", a.body)
		}
		v := w.start(t, map[string]any{"to": drama(4), "channel": "email", "email": "secret.person@example.com"})
		w.comes(t, v, "email post accepted")
		mails := w.box.got()
		if len(mails) != 1 || !strings.Contains(mails[0], "RCPT TO:<secret.person@example.com>") ||
			!strings.Contains(mails[0], `From: "Shop" <codes@example.com>`) {
			t.Fatalf("%q", mails)
		}
		shown := w.call(t, http.StatusOK, http.MethodGet, v, nil)
		if field(shown, "email") != "s•••@example.com" || field(shown, "proves") != "email" {
			t.Errorf("%s", shown.body)
		}
		w.approve(t, v, find(t, `\b([0-9]{6})\b`, mails[0]), "email")

		// The code went both ways: nobody knows which one was read.
		both := w.start(t, map[string]any{"to": drama(5), "email": "secret.person@example.com"})
		order := w.asked(t, textSend, 1)
		w.call(t, http.StatusOK, http.MethodPost, both+"/resend", map[string]any{"channel": "email"})
		w.comes(t, both, "sms tw accepted", "email post accepted")
		w.approve(t, both, find(t, `\b([0-9]{6})\b`, strings.ReplaceAll(order, "+", " ")), "phone_or_email")
		if strings.Contains(w.log.log.String(), "secret.person") {
			t.Error("the log has the address")
		}
	})

	t.Run("a call", func(t *testing.T) {
		v := w.start(t, map[string]any{"to": drama(6), "channel": "voice", "locale": "en"})
		order, _ := url.ParseQuery(w.asked(t, callSend, 1))
		w.comes(t, v, "voice tw accepted")
		ask := func(at string, form url.Values) string {
			form.Set("CallSid", callSID)
			text := order.Get("Url") + at
			for _, k := range slices.Sorted(maps.Keys(form)) {
				text += k + form.Get(k)
			}
			mac := hmac.New(sha1.New, []byte(authToken))
			mac.Write([]byte(text))
			header := map[string]string{
				"Content-Type":       "application/x-www-form-urlencoded",
				"X-Twilio-Signature": base64.StdEncoding.EncodeToString(mac.Sum(nil)),
			}
			want := http.StatusOK
			if at == "?step=progress" {
				want = http.StatusNoContent
			}
			return report(t, want, order.Get("Url")+at, form.Encode(), header)
		}
		report(t, http.StatusForbidden, order.Get("Url")+"?step=key1", "CallSid="+callSID+"&Digits=1", nil)
		if question := ask("", url.Values{"CallStatus": {"in-progress"}}); !strings.Contains(question, "<Gather") ||
			strings.Contains(question, "<Pause") {
			t.Errorf("the question: %s", question)
		}
		told := ask("?step=key1", url.Values{"Digits": {"1"}})
		code := spokenIn(told)
		if len(code) != 6 {
			t.Fatalf("the code %q is said in %s", code, told)
		}
		ask("?step=said", url.Values{"CallStatus": {"in-progress"}})
		ask("?step=progress", url.Values{"CallStatus": {"completed"}})
		w.comes(t, v, "voice tw delivered")
		w.approve(t, v, code, "phone")
		if late := ask("?step=key1", url.Values{"Digits": {"1"}}); strings.Contains(late, "<Say") {
			t.Errorf("after the approval the call says %s", late)
		}
	})

	t.Run("feedback", func(t *testing.T) {
		before := len(w.house.of(textSend))
		v := w.start(t, map[string]any{"to": drama(7)})
		order := w.asked(t, textSend, before+1)
		w.comes(t, v, "sms tw accepted")
		w.approve(t, v, find(t, `\b([0-9]{6})\b`, strings.ReplaceAll(order, "+", " ")), "phone")
		if body := w.asked(t, feedback, 1); body != "Outcome=confirmed" {
			t.Errorf("Twilio hears %s", body)
		}
	})
}
