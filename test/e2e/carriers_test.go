package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// house is a carrier's interface over HTTP: it remembers what it was asked and answers the same to each path.
type house struct {
	*httptest.Server
	mu    sync.Mutex
	asked []asked
}

type asked struct{ path, body string }

// newHouse starts one. answers go by the beginning of method and path.
func newHouse(t testing.TB, answers map[string]string) *house {
	g := &house{}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		what := r.Method + " " + r.URL.Path
		g.mu.Lock()
		g.asked = append(g.asked, asked{what, string(body)})
		g.mu.Unlock()
		for path, answer := range answers {
			if strings.HasPrefix(what, path) {
				_, _ = io.WriteString(w, answer)
				return
			}
		}
		w.WriteHeader(http.StatusNotFound)
	}))
	t.Cleanup(g.Close)
	return g
}

// of returns the bodies of the requests to a path.
func (g *house) of(path string) (bodies []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, a := range g.asked {
		if a.path == path {
			bodies = append(bodies, a.body)
		}
	}
	return bodies
}

// find returns the first group of a pattern in a text, and fails without one.
func find(t testing.TB, pattern, text string) string {
	t.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("no %s in\n%s", pattern, text)
	}
	return found[1]
}

// post sends a carrier's report and answers what it is told.
func post(t testing.TB, status int, address, body string) string {
	t.Helper()
	resp, err := http.Post(address, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != status {
		t.Errorf("%s is answered with %d %s, want %d", body, resp.StatusCode, text, status)
	}
	return string(text)
}

// TestCarriersThatSignNothing: receipts of carriers that sign nothing come in, in batches, to the message's or to the
// route's address, and are believed by the token alone; and those that learn from conversions are told.
func TestCarriersThatSignNothing(t *testing.T) {
	t.Parallel()
	infobip := newHouse(t, map[string]string{
		"GET /account/1/balance": `{"balance":1}`, "POST /ct/1/log/end/": `{"processKey":"x"}`,
		"POST /sms/3/messages": `{"messages":[{"messageId":"x","status":{"groupId":1,"id":26}}]}`,
	})
	sinch := newHouse(t, map[string]string{
		"POST /xms/v1/plan/batches/b1/delivery_feedback": "", "GET /xms/v1/plan/batches": `{"batches":[]}`,
		"POST /xms/v1/plan/batches": `{"id":"b1"}`,
	})
	azure := newHouse(t, map[string]string{
		"GET /phoneNumbers": `{"phoneNumbers":[]}`, "POST /sms": `{"value":[{"messageId":"m1","httpStatusCode":202,` +
			`"successful":true}]}`,
	})
	d := deploy(t, "http://127.0.0.1:9", fmt.Sprintf(`    quiet: true
  - {name: one, provider: infobip, test: true, prefixes: ["+1201"], settings: {url: %q, api_key: k}}
  - {name: two, provider: sinch, test: true, prefixes: ["+1202"],
      settings: {url: %q, service_plan_id: plan, api_token: k, from: Shop}}
  - {name: three, provider: azure, test: true, prefixes: ["+1203"],
      settings: {endpoint: %q, access_key: a2V5, from: Shop}}
limits: {number_gaps: []}
`, infobip.URL, sinch.URL, azure.URL))
	told := d.run(t, "doctor", "--config", d.config)
	if slices.ContainsFunc([]string{"one", "two", "three"},
		func(r string) bool { return !strings.Contains(told, "ok     route "+r) }) {
		t.Errorf("doctor says\n%s", told)
	}
	fixed := find(t, `route three: .*(http://\S+)`, told)
	c := newClient(t, d.serve(t), d.key)
	start := func(to string) (path string) {
		return "/v1/verifications/" +
			field(c.call(t, http.StatusCreated, http.MethodPost, "/v1/verifications", map[string]any{"to": to}), "id")
	}
	holds := func(v, want string) {
		t.Helper()
		if got, _ := steps(t, c.call(t, http.StatusOK, http.MethodGet, v, nil)); !slices.Equal(got, []string{want}) {
			t.Errorf("%v, want %s", got, want)
		}
	}
	accepted := func(v, route string) {
		t.Helper()
		waitFor(t, 10*time.Second, "the record of it", func() bool {
			got, _ := steps(t, c.call(t, http.StatusOK, http.MethodGet, v, nil))
			return slices.Equal(got, []string{"sms " + route + " accepted"})
		})
	}
	approve := func(v, text string) {
		t.Helper()
		if a := c.call(t, http.StatusOK, http.MethodPost, v+"/check",
			map[string]any{"code": find(t, `([0-9]{6})`, text)}); field(a, "result") != "approved" {
			t.Errorf("the code is %s", field(a, "result"))
		}
	}

	t.Run("infobip", func(t *testing.T) {
		const path = "POST /sms/3/messages"
		verifications := []string{start(drama(1)), start(drama(2))}
		for _, v := range verifications {
			accepted(v, "one")
		}
		var orders [2]struct {
			Messages []struct {
				Destinations []struct{ To string } `json:"destinations"`
				Content      struct{ Text string } `json:"content"`
				Webhooks     struct {
					Delivery     struct{ URL string } `json:"delivery"`
					CallbackData string               `json:"callbackData"`
				} `json:"webhooks"`
			} `json:"messages"`
		}
		for i, body := range infobip.of(path) {
			if err := json.Unmarshal([]byte(body), &orders[i]); err != nil {
				t.Fatal(err)
			}
		}
		if "+"+orders[0].Messages[0].Destinations[0].To != drama(1) {
			orders[0], orders[1] = orders[1], orders[0]
		}
		first, second := orders[0].Messages[0], orders[1].Messages[0]
		result := func(token string, group, id int) string {
			return fmt.Sprintf(`{"messageId":"x","callbackData":%q,"messageCount":1,"status":{"groupId":%d,"id":%d,`+
				`"name":"S"}}`, token, group, id)
		}
		post(t, http.StatusNoContent, first.Webhooks.Delivery.URL, `{"results":[`+result(first.Webhooks.CallbackData, 3, 5)+
			`,`+result(second.Webhooks.CallbackData, 2, 9)+`]}`)
		// too late
		post(t, http.StatusNoContent, first.Webhooks.Delivery.URL, `{"results":[`+result(first.Webhooks.CallbackData, 2, 9)+
			`]}`)
		post(t, http.StatusForbidden, first.Webhooks.Delivery.URL, `{"results":[]}`)
		holds(verifications[0], "sms one delivered")
		holds(verifications[1], "sms one undelivered")
		approve(verifications[0], first.Content.Text)
		waitFor(t, 10*time.Second, "the conversion", func() bool { return len(infobip.of("POST /ct/1/log/end/x")) == 1 })
	})
	t.Run("sinch", func(t *testing.T) {
		v := start(drama(101))
		accepted(v, "two")
		order := sinch.of("POST /xms/v1/plan/batches")[0]
		address, token := find(t, `"callback_url":"([^"]+)"`, order), find(t, `"client_reference":"([^"]+)"`, order)
		report := func(status string, code int) string {
			return fmt.Sprintf(`{"type":"recipient_delivery_report_sms","batch_id":"b1","client_reference":%q,"status":%q,`+
				`"code":%d}`, token, status, code)
		}
		post(t, http.StatusNotFound, address+"x", report("Failed", 150))
		for range 2 {
			post(t, http.StatusNoContent, address, report("Delivered", 0))
			post(t, http.StatusNoContent, address, report("Dispatched", 401))
		}
		holds(v, "sms two delivered")
		approve(v, find(t, `"body":"([^"]+)"`, order))
		waitFor(t, 10*time.Second, "the feedback", func() bool {
			return slices.Equal(sinch.of("POST /xms/v1/plan/batches/b1/delivery_feedback"),
				[]string{`{"recipients":["` + drama(101) + `"]}`})
		})
	})
	t.Run("azure", func(t *testing.T) {
		question := `[{"eventType":"Microsoft.EventGrid.SubscriptionValidationEvent","data":{"validationCode":"512d38b6"}}]`
		if got := post(t, http.StatusOK, fixed, question); got != `{"validationResponse":"512d38b6"}` {
			t.Errorf("the question is answered %s", got)
		}
		post(t, http.StatusNotFound, fixed+"x", question)
		v := start(drama(201))
		accepted(v, "three")
		event := func(tag string) string {
			return `[{"eventType":"Microsoft.Communication.SMSDeliveryReportReceived","data":{"messageId":"m1",` +
				`"deliveryStatus":"Delivered","tag":"` + tag + `"}}]`
		}
		post(t, http.StatusNoContent, fixed, event("another program's"))
		holds(v, "sms three accepted")
		post(t, http.StatusNoContent, fixed, event(find(t, `"tag":"([^"]+)"`, azure.of("POST /sms")[0])))
		holds(v, "sms three delivered")
	})
}
