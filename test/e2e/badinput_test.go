package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// bad is a request that cannot be taken, and the answer that it must get.
type bad struct {
	name   string
	method string
	path   string
	body   string
	status int
	code   string
	field  string // of the first field fault; "" for none
	header map[string]string
}

const start, checks = "/v1/verifications", "/v1/verifications/check"

// starts are bodies that no verification starts with.
func starts() (out []bad) {
	add := func(name, body string, status int, code, field string) {
		out = append(out, bad{name: name, method: "POST", path: start, body: body, status: status, code: code, field: field})
	}
	for name, body := range map[string]string{
		"nothing": "", "a brace": "{", "half an object": `{"to":`, "an open string": `{"to":"+44`, "two values": `{} {}`,
		"text":          "to=+447700900123",
		"single quotes": `{'to':'+447700900123'}`, "a trailing comma": `{"to":"+447700900123",}`,
		"a comment": `{"to":"+447700900123"/*x*/}`,
		"NaN":       `{"to":NaN}`, "a NUL": "{\"to\":\"+44\x007700900123\"}",
		"a control character": "{\"to\":\"+44\x017700900123\"}",
		"invalid UTF-8":       "{\"to\":\"\xff\xfe\"}", "an overlong UTF-8": "{\"to\":\"\xc0\xaf\"}",
		"a lone surrogate":  `{"to":"\ud800"}`,
		"a name twice":      `{"to":"+447700900123","to":"+447700900124"}`,
		"a byte order mark": "\xef\xbb\xbf{\"to\":\"+447700900123\"}",
		"XML":               `<to>+447700900123</to>`,
	} {
		add("no JSON: "+name, body, 400, "malformed_json", "")
	}
	for name, body := range map[string]string{"an array": `[]`, "a string": `"+447700900123"`, "a number": `7`,
		"true": `true`, "null": `null`, "an array of objects": `[{"to":"+447700900123"}]`} {
		add("no object: "+name, body, 422, "invalid_request", "")
	}
	valid := func(more string) string { return `{"to":"+447700900700",` + more + `}` }
	for body, field := range map[string]string{
		valid(`"x":1`): "x", valid(`"To":"+447700900123"`): "To", valid(`"codeLength":6`): "codeLength",
		valid(`"transaction":{"amount":"1","currency":"EUR","payee":"A","iban":"x"}`): "transaction.iban",
		valid(`"client":{"ipv4":"x"}`): "client.ipv4", valid(`"autofill":{"host":"x"}`): "autofill.host", valid(`"":1`): "",
		valid(`"__proto__":{}`): "__proto__",
	} {
		add("unknown field "+field, body, 422, "invalid_request", field)
	}
	for body, field := range map[string]string{
		`{"to":447700900123}`: "to", `{"to":["+447700900123"]}`: "to", `{"to":{}}`: "to", `{"to":true}`: "to",
		valid(`"code_length":"6"`): "code_length", valid(`"code_length":6.5`): "code_length",
		valid(`"code_length":1e400`):                   "code_length",
		valid(`"code_length":99999999999999999999999`): "code_length", valid(`"expires_in":"300"`): "expires_in",
		valid(`"expires_in":[]`):     "expires_in",
		valid(`"max_attempts":true`): "max_attempts", valid(`"metadata":[]`): "metadata",
		valid(`"metadata":{"a":1}`): "metadata.a", valid(`"metadata":{"a":{}}`): "metadata.a",
		valid(`"metadata":"a"`): "metadata", valid(`"purpose":7`): "purpose", valid(`"channel":7`): "channel",
		valid(`"locale":7`): "locale", valid(`"code":123456`): "code",
		valid(`"transaction":"1 EUR"`): "transaction", valid(`"transaction":{"amount":39.90,"currency":"EUR",` +
			`"payee":"A"}`): "transaction.amount",
		valid(`"client":"203.0.113.7"`): "client", valid(`"client":{"ip":7}`): "client.ip",
		valid(`"autofill":[]`): "autofill", valid(`"region":7`): "region", `{"metadata":` + strings.Repeat(`[`, 12000) +
			strings.Repeat(`]`, 12000) + `}`: "metadata",
	} {
		add("wrong type "+field, body, 422, "invalid_request", field)
	}
	return append(out, bounds()...)
}

// bounds are bodies of the right shape whose values are out of bounds.
func bounds() (out []bad) {
	add := func(body, field string) {
		out = append(out, bad{
			name:   "bounds " + body[:min(len(body), 60)],
			method: "POST",
			path:   start,
			body:   body,
			status: 422,
			code:   "invalid_request",
			field:  field,
		})
	}
	for _, to := range []string{
		"", " ", "+", "++447700900123", "abc", "12", "+4477009001234567890", "+0", "+999123456789", "+44 7700 900123;ext=5",
		"+44<script>", "1-800-FLOWERS", "+44\\u0000", "+44\\n7700900123", strings.Repeat("9", 5000), "+447700", "112",
		"020 7946 0123", "+442", "+1", "+12025550", "+390", "'; DROP TABLE numbers;--", "😀", "+1٠٠",
	} {
		add(`{"to":"`+to+`"}`, "to")
	}
	valid := func(more string) string { return `{"to":"+447700900700",` + more + `}` }
	payment := func(amount, currency, payee string) string {
		return valid(fmt.Sprintf(`"transaction":{"amount":%q,"currency":%q,"payee":%q}`, amount, currency, payee))
	}
	for body, field := range map[string]string{
		`{}`: "to", `{"region":"GB"}`: "to", `{"to":null}`: "to", `{"to":"07700900123","region":"ZZ"}`: "to",
		`{"to":"07700900123","region":"gb"}`: "to", `{"to":"07700900123","region":"GBR"}`: "to",
		valid(`"code_length":5`): "code_length", valid(`"code_length":11`): "code_length",
		valid(`"code_length":0`): "code_length", valid(`"code_length":-6`): "code_length",
		valid(`"code_length":2147483648`): "code_length", valid(`"expires_in":59`): "expires_in",
		valid(`"expires_in":601`): "expires_in", valid(`"expires_in":0`): "expires_in",
		valid(`"expires_in":-1`): "expires_in", valid(`"max_attempts":0`): "max_attempts",
		valid(`"max_attempts":11`): "max_attempts", valid(`"purpose":"Log in"`): "purpose",
		valid(`"purpose":"` + strings.Repeat("a", 33) + `"`): "purpose", valid(`"purpose":"login\n"`): "purpose",
		valid(`"purpose":"1login"`): "purpose",
		valid(`"locale":"e"`):       "locale", valid(`"locale":"english please"`): "locale",
		valid(`"locale":"` + strings.Repeat("en-", 20) + `"`): "locale",
		valid(`"channel":"pigeon"`):                           "channel", valid(`"channel":"SMS"`): "channel",
		valid(`"code_alphabet":"emoji"`): "code_alphabet",
		valid(`"code":"12345"`):          "code", valid(`"code":"12345678901"`): "code", valid(`"code":"12 456"`): "code",
		valid(`"code":"abcdef"`): "code", valid(`"code":"123456","code_length":8`): "code_length",
		valid(`"purpose":"transaction"`): "transaction", valid(`"transaction":{}`): "transaction.amount",
		payment("-1", "EUR", "A"):  "transaction.amount",
		payment("1,5", "EUR", "A"): "transaction.amount",
		payment("1", "eur", "A"):   "transaction.currency",
		payment("1", "EURO", "A"):  "transaction.currency",
		payment("1", "EUR", ""):    "transaction.payee",
		valid(`"transaction":{"amount":"1","currency":"EUR","payee":"` + strings.Repeat("A", 65) + `"}`): "transaction.payee",
		valid(`"transaction":{"amount":"1","currency":"EUR","payee":"A\u0007"}`):                         "transaction.payee",
		valid(`"autofill":{"origin":"https://example.com"}`):                                             "autofill",
		valid(`"autofill":{"origin":"example.com/x"}`):                                                   "autofill",
		valid(`"autofill":{"origin":"localhost:8080"}`):                                                  "autofill",
		valid(`"autofill":{"app_hash":"short"}`):                                                         "autofill",
		valid(`"autofill":{"app_hash":"FA+9qCX9VSu",` +
			`"origin":"example.com"}`): "autofill",
		valid(`"client":{"ip":"1.2.3"}`): "client.ip", valid(`"client":{"ip":"1.2.3.4:80"}`): "client.ip",
		valid(`"client":{"ip":"example.com"}`):                              "client.ip",
		valid(`"client":{"user_agent":"` + strings.Repeat("u", 513) + `"}`): "client.user_agent",
		valid(`"client":{"device_id":"` + strings.Repeat("d", 129) + `"}`):  "client.device_id",
		valid(`"client":{"user_agent":"a\u0000b"}`):                         "client.user_agent",
		valid(`"metadata":{"` + strings.Repeat("k", 41) + `":"v"}`):         "metadata",
		valid(`"metadata":{"":"v"}`):                                        "metadata",
		valid(`"metadata":{"k":"` + strings.Repeat("v", 201) + `"}`):        "metadata",
		valid(`"metadata":{` + many(21) + `}`):                              "metadata",
		valid(`"metadata":{"k":"a\u0000"}`):                                 "metadata",
	} {
		add(body, field)
	}
	return out
}

// many returns n members of an object.
func many(n int) string {
	var parts []string
	for i := range n {
		parts = append(parts, fmt.Sprintf(`"k%d":"v"`, i))
	}
	return strings.Join(parts, ",")
}

// others are requests that fail for another reason than the body of a start. v is a verification of the caller's,
// stranger one of somebody else's.
func others(v, stranger, expired, revoked, readOnly, admin string) []bad {
	auth := func(value string) map[string]string { return map[string]string{"Authorization": value} }
	out := []bad{
		{"no key", "POST", start, `{}`, 401, "unauthenticated", "", auth("")},
		{"a scheme alone", "POST", start, `{}`, 401, "unauthenticated", "", auth("Bearer")},
		{"another scheme", "POST", start, `{}`, 401, "unauthenticated", "", auth("Basic ZHA6ZHA=")},
		{"a key of nobody", "POST", start, `{}`, 401, "unauthenticated", "",
			auth("Bearer dp_live_" + strings.Repeat("a", 32))},
		{"a malformed key", "POST", start, `{}`, 401, "unauthenticated", "", auth("Bearer ' OR 1=1")},
		{"a long key", "POST", start, `{}`, 401, "unauthenticated", "", auth("Bearer " + strings.Repeat("k", 8000))},
		{"two keys", "POST", start, `{}`, 401, "unauthenticated", "", auth("Bearer a, Bearer b")},
		{"an expired key", "POST", start, `{}`, 401, "key_expired", "", auth("Bearer " + expired)},
		{"a revoked key", "POST", start, `{}`, 401, "unauthenticated", "", auth("Bearer " + revoked)},
		{"a key that may only read", "POST", start, `{"to":"+447700900700"}`, 403, "forbidden", "",
			auth("Bearer " + readOnly)},
		{"an operator's key verifies nothing", "POST", start, `{"to":"+447700900700"}`, 403, "forbidden", "",
			auth("Bearer " + admin)},
		{"an application's key runs nothing", "GET", "/v1/applications", "", 403, "forbidden", "", nil},
		{"keys need an operator", "POST", "/v1/keys", `{"name":"x","scopes":["verify"]}`, 403, "forbidden", "", nil},
		{"metrics need an operator", "GET", "/metrics", "", 403, "forbidden", "", nil},
		{"metrics need a key", "GET", "/metrics", "", 401, "unauthenticated", "", auth("")},
		{"text/plain", "POST", start, `{"to":"+447700900700"}`, 415, "unsupported_media_type", "",
			map[string]string{"Content-Type": "text/plain"}},
		{"a form", "POST", start, `to=1`, 415, "unsupported_media_type", "",
			map[string]string{"Content-Type": "application/x-www-form-urlencoded"}},
		{"no type", "POST", start, `{"to":"+447700900700"}`, 415, "unsupported_media_type", "",
			map[string]string{"Content-Type": ""}},
		{"a broken type", "POST", start, `{"to":"+447700900700"}`, 415, "unsupported_media_type", "",
			map[string]string{"Content-Type": ";;;"}},
		{"a body of 65 KiB", "POST", start, `{"to":"` + strings.Repeat("1", 65<<10) + `"}`, 413, "body_too_large", "", nil},
		{"a body of 2 MiB", "POST", start, strings.Repeat(" ", 2<<20), 413, "body_too_large", "", nil},
		{"an Idempotency-Key with a space", "POST", start, `{"to":"+447700900700"}`, 422, "invalid_idempotency_key", "",
			map[string]string{"Idempotency-Key": "a b"}},
		{"an empty Idempotency-Key", "POST", start, `{"to":"+447700900700"}`, 422, "invalid_idempotency_key", "",
			map[string]string{"Idempotency-Key": `""`}},
		{"a long Idempotency-Key", "POST", start, `{"to":"+447700900700"}`, 422, "invalid_idempotency_key", "",
			map[string]string{"Idempotency-Key": strings.Repeat("k", 129)}},
		{"nothing there", "GET", "/", "", 404, "not_found", "", nil},
		{"no such version", "GET", "/v2/verifications", "", 404, "not_found", "", nil},
		{"dots", "GET", "/v1/../etc/passwd", "", 404, "not_found", "", nil},
		{"the handset in earnest", "GET", "/dev/handset", "", 404, "not_found", "", nil},
		{"messages in earnest", "GET", "/dev/messages", "", 404, "not_found", "", nil},
		{"a blocked number", "POST", start, `{"to":"+447700900004"}`, 403, "number_blocked", "", nil},
		{"a limited number", "POST", start, `{"to":"+447700900005"}`, 429, "rate_limited", "", nil},
		{"an admin's bad name", "POST", "/v1/applications", `{"name":"","brand":"x"}`, 422, "invalid_request", "name",
			auth("Bearer " + admin)},
		{"an admin's bad policy", "POST", "/v1/applications", `{"name":"n","brand":"b","policy":{"code_length":3}}`, 422,
			"invalid_request", "policy.code_length", auth("Bearer " + admin)},
		{"a name that is taken", "POST", "/v1/applications", `{"name":"shop","brand":"b"}`, 409, "name_taken", "",
			auth("Bearer " + admin)},
		{"a key without scopes", "POST", "/v1/keys", `{"name":"k","scopes":[]}`, 422, "invalid_request", "scopes",
			auth("Bearer " + admin)},
		{"a key of no application", "POST", "/v1/keys", `{"name":"k","scopes":["verify"]}`, 422, "invalid_request",
			"application", auth("Bearer " + admin)},
		{"an unknown scope", "POST", "/v1/keys", `{"name":"k","scopes":["root"]}`, 422, "invalid_request", "scopes",
			auth("Bearer " + admin)},
		{"a key that is expired at birth", "POST", "/v1/keys",
			`{"name":"k","scopes":["admin"],"expires_at":"2020-01-01T00:00:00Z"}`, 422, "invalid_request", "expires_at",
			auth("Bearer " + admin)},
		{"no such application", "GET", "/v1/applications/app_00000000000000000000000000", "", 404, "not_found", "",
			auth("Bearer " + admin)},
		{"no such key", "POST", "/v1/keys/key_00000000000000000000000000/revoke", "", 404, "not_found", "",
			auth("Bearer " + admin)},
		{"a check without a code", "POST", start + "/" + v + "/check", `{}`, 422, "invalid_request", "code", nil},
		{"an empty code", "POST", start + "/" + v + "/check", `{"code":""}`, 422, "invalid_request", "code", nil},
		{"a long code", "POST", start + "/" + v + "/check", `{"code":"` + strings.Repeat("1", 1001) + `"}`, 422,
			"invalid_request", "code", nil},
		{"a code with a NUL", "POST", start + "/" + v + "/check", `{"code":"1234\u0000"}`, 422, "invalid_request", "code",
			nil},
		{"a code that is a number", "POST", start + "/" + v + "/check", `{"code":123456}`, 422, "invalid_request", "code",
			nil},
		{"a check with a bad payment", "POST", start + "/" + v + "/check",
			`{"code":"123456","transaction":{"amount":"x","currency":"EUR","payee":"A"}}`, 422, "invalid_request",
			"transaction.amount", nil},
		{"a check by no number", "POST", checks, `{"code":"123456"}`, 422, "invalid_request", "to", nil},
		{"a check by a bad number", "POST", checks, `{"to":"x","code":"123456"}`, 422, "invalid_request", "to", nil},
		{"a check by a number without a verification", "POST", checks, `{"to":"+447700900999","code":"123456"}`, 404,
			"not_found", "", nil},
		{"a resend by pigeon", "POST", start + "/" + v + "/resend", `{"channel":"pigeon"}`, 422, "invalid_request", "channel",
			nil},
		{"a resend too soon", "POST", start + "/" + v + "/resend", ``, 429, "rate_limited", "", nil},
		{"a cancel with a reason", "POST", start + "/" + v + "/cancel", `{"reason":"x"}`, 422, "invalid_request", "reason",
			nil},
		{"a receipt for no route", "POST", "/callbacks/nowhere/x", `x`, 404, "", "", nil},
		{"a receipt with a guessed token", "POST", "/callbacks/sink/" + strings.Repeat("A", 46), `x`, 404, "", "", nil},
		{"a huge receipt", "POST", "/callbacks/sink/x", strings.Repeat("x", 300<<10), 413, "body_too_large", "", nil},
	}
	for _, bad1 := range []string{"vrf_", "vrf_x", v[:29], v + "0", strings.ToUpper(v), "dlv_" + v[4:], "1", "%00",
		"%2e%2e", "null", stranger, "vrf_00000000000000000000000000"} {
		for _, path := range []string{"", "/check"} {
			method, body := "GET", ""
			if path != "" {
				method, body = "POST", `{"code":"123456"}`
			}
			out = append(out, bad{"id " + bad1, method, start + "/" + bad1 + path, body, 404, "not_found", "", nil})
		}
	}
	for _, m := range []string{"PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"} {
		out = append(out, bad{m, m, start, "", 405, "method_not_allowed", "", nil},
			bad{m, m, start + "/" + v + "/check", "", 405, "method_not_allowed", "", nil})
	}
	for query, field := range map[string]string{
		"limit=0": "limit", "limit=101": "limit", "limit=x": "limit", "limit=-1": "limit",
		"limit=9999999999999999999": "limit", "status=done": "status", "cursor=x": "cursor", "cursor=%00": "cursor",
		"created_after=yesterday": "created_after", "created_before=2026-13-01": "created_before", "to=x": "to",
		"page=2": "page", "limit=1&limit=2": "limit",
	} {
		out = append(out, bad{"list " + query, "GET", start + "?" + query, "", 422, "invalid_request", field, nil})
	}
	return out
}

// TestBadInput sends what nobody should, and sees that each gets its answer, none a 500, and that the server still
// serves.
func TestBadInput(t *testing.T) {
	t.Parallel()
	s := newSink(t)
	d := deploy(t, s.URL, "log: {level: warn}\n")
	p := d.serve(t)
	c, operator := newClient(t, p, d.key), newClient(t, p, d.admin)
	v := field(c.call(t, 201, "POST", start, map[string]any{"to": "+447700900800"}), "id")
	app := field(operator.call(t, 201, "POST", "/v1/applications", map[string]any{"name": "other", "brand": "Other"}),
		"id")
	key := func(body map[string]any) (secret, id string) {
		a := operator.call(t, 201, "POST", "/v1/keys", body)
		return field(a, "secret"), field(a, "id")
	}
	strangerKey, _ := key(map[string]any{"application": app, "name": "s", "mode": "test",
		"scopes": []string{"verify", "read"}})
	stranger := field(newClient(t, p, strangerKey).call(t, 201, "POST", start, map[string]any{"to": "+447700900801"}),
		"id")
	readOnly, _ := key(map[string]any{"application": app, "name": "r", "mode": "test", "scopes": []string{"read"}})
	expired, _ := key(map[string]any{
		"application": app,
		"name":        "e",
		"mode":        "test",
		"scopes":      []string{"verify"},
		"expires_at":  time.Now().Add(300 * time.Millisecond).UTC().Format(time.RFC3339Nano),
	})
	revoked, rid := key(map[string]any{"application": app, "name": "x", "mode": "test", "scopes": []string{"verify"}})
	operator.call(t, 200, "POST", "/v1/keys/"+rid+"/revoke", nil)
	waitFor(t, 5*time.Second, "the key expires", func() bool {
		a, err := newClient(t, p, expired).try("GET", start+"/"+v, nil)
		return err == nil && a.status == 401
	})
	table := append(starts(), others(v, stranger, expired, revoked, readOnly, d.admin)...)
	for _, b := range table {
		b.send(t, c)
	}
	if len(table) < 150 {
		t.Errorf("%d requests, at least 150 are wanted", len(table))
	}
	slowAndGreedy(t, p)
	c.call(t, 201, "POST", start, map[string]any{"to": "+447700900802"})
	t.Logf("%d bad requests, each with its answer", len(table))
}

// send makes the request and judges the answer.
func (b bad) send(t *testing.T, c *client) {
	t.Helper()
	req, err := http.NewRequest(b.method, c.url+b.path, strings.NewReader(b.body))
	if err != nil {
		t.Errorf("%s: %v", b.name, err)
		return
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	if b.body != "" || b.method == "POST" {
		req.Header.Set("Content-Type", "application/json")
	}
	for k, v := range b.header {
		if v == "" {
			req.Header.Del(k)
			continue
		}
		req.Header.Set(k, v)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		t.Errorf("%s: %v", b.name, err)
		return
	}
	defer resp.Body.Close()
	var problem struct {
		Code   string
		Errors []struct{ Field string }
	}
	var text bytes.Buffer
	_, _ = text.ReadFrom(resp.Body)
	_ = json.Unmarshal(text.Bytes(), &problem)
	got := ""
	if len(problem.Errors) > 0 {
		got = problem.Errors[0].Field
	}
	if resp.StatusCode != b.status || problem.Code != b.code || got != b.field {
		t.Errorf("%s: %s %s %.80s\n  %d %s field %q, want %d %s field %q\n  %.300s", b.name, b.method, b.path, b.body,
			resp.StatusCode, problem.Code, got, b.status, b.code, b.field, text.String())
	}
}

// slowAndGreedy sends what only a raw connection can: header bombs, a body that stops, no HTTP at all.
func slowAndGreedy(t *testing.T, p *process) {
	t.Helper()
	address := strings.TrimPrefix(p.url, "http://")
	raw := func(request string) string {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		_, _ = conn.Write([]byte(request)) // the server may close before it has read all
		if tcp, ok := conn.(*net.TCPConn); ok && !strings.Contains(request, "Content-Length") {
			_ = tcp.CloseWrite()
		}
		line, _ := bufio.NewReader(conn).ReadString('\n')
		return line
	}
	for name, c := range map[string]struct{ request, want string }{
		"a header of 64 KiB": {"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 64<<10) + "\r\n\r\n", " 431 "},
		"10,000 headers":     {"GET /healthz HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X: y\r\n", 10000) + "\r\n", " 431 "},
		"no HTTP":            {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", " 400 "},
		"no host":            {"GET /healthz HTTP/1.1\r\n\r\n", " 400 "},
		"a body that stops": {"POST /v1/verifications HTTP/1.1\r\nHost: x\r\nContent-Type: " +
			"application/json\r\nContent-Length: 100\r\n\r\n{", " 401 "},
		"two lengths": {"POST /v1/verifications HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: " +
			"2\r\n\r\n{}", " 400 "},
		"a length of letters":    {"POST /v1/verifications HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n", " 400 "},
		"length and chunked":     {"POST /v1/verifications HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", " 501 "},
		"a NUL in a header":      {"GET /healthz HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n", " 400 "},
		"a path without a slash": {"GET healthz HTTP/1.1\r\nHost: x\r\n\r\n", " 400 "},
	} {
		if line := raw(c.request); !strings.Contains(line, c.want) {
			t.Errorf("%s: %q, want%s", name, line, c.want)
		}
	}
}
