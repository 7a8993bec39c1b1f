package api

import (
	"reflect"
	"testing"

	"github.com/go-json-experiment/json"
)

// held compares the quick way of reading a body with the strict one: what the first accepts, the second reads the same.
func held[T any, P interface {
	*T
	plainBody
}](t *testing.T, body []byte) (quick bool) {
	t.Helper()
	var got, want T
	if !plain(body, P(&got)) {
		return false
	}
	if err := json.Unmarshal(body, &want, json.RejectUnknownMembers(true),
		json.MatchCaseInsensitiveNames(false)); err != nil {
		t.Fatalf("%q is read, and the strict decoder says %v", body, err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%q is read as %+v, and by the strict decoder as %+v", body, got, want)
	}
	return true
}

func FuzzPlain(f *testing.F) {
	for _, body := range []string{
		`{"to":"+4915112345678","purpose":"login"}`, ` { "code" : "123456" } `, `{"to":"+1","to":"+2"}`,
		`{"to":"","region":""}`, `{"code":"a\u0031"}`,
		`{"to":"+1","region":"DE","email":"a@b.de","channel":"sms","purpose":"x","locale":"de","code_alphabet":"digits",` +
			`"code":"123456"}`, `{"To":"+1"}`, `{"to":"+1",}`, `{"to":"+1"}}`, `{"to":"+1"`, `{}`, `null`, `{"to":null}`,
		`{"to":"é"}`, "{\"to\":\"\x7f\"}", `{"expires_in":60}`, `{"code":"1"}x`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		held[startBody](t, body)
		held[checkBody](t, body)
	})
}

// TestPlain: the bodies that it is there for are read the quick way.
func TestPlain(t *testing.T) {
	t.Parallel()
	if !held[startBody](t, []byte(`{"to":"+4915112345678","channel":"sms","purpose":"login","locale":"de"}`)) ||
		!held[checkBody](t, []byte(` {"code": "123456"}`+"\n")) {
		t.Error("a plain body is read the long way")
	}
	if held[startBody](t, []byte(`{"to":"+4915112345678","purpose":"login","purpose":"login"}`)) ||
		held[startBody](t, []byte(`{"to":"+49","unknown":""}`)) {
		t.Error("what is wrong is read")
	}
}
