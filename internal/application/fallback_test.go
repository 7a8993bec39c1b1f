package application_test

import (
	"fmt"
	"testing"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/channel"
)

// TestFallback reads orders of channels as people write them, and refuses those that cannot be kept.
func TestFallback(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"sms 25s, sms 25s, voice": "ok",
		" sms  1m ,voice":         "ok",
		"sms 25s, pigeon":         `policy.fallback[1].channel: "pigeon" is not a channel`,
		"sms 25s":                 "policy.fallback: must have 2 to 5 steps: each is a send, and max_sends is 5",
		"sms 5s,sms 5s,sms 5s,sms 5s,sms 5s,voice": "policy.fallback: must have 2 to 5 steps: each is a send, and " +
			"max_sends is 5",
		"sms, voice":                "policy.fallback[0].wait: must be 5 to 300 seconds",
		"sms 4s, voice":             "policy.fallback[0].wait: must be 5 to 300 seconds",
		"sms 25s, voice 25s":        "policy.fallback[1].wait: nothing follows the last step: leave its wait out",
		"sms 200s, sms 100s, voice": "policy.fallback: the waits add up to 300 s, and a code lives for 300 s",
		"sms 25, voice":             `fallback: "25" is no wait in whole seconds, like 25s`,
		"sms 2500ms, voice":         `fallback: "2500ms" is no wait in whole seconds, like 25s`,
		"sms 25s voice": `fallback: "sms 25s voice": each step is a channel and a wait, like: sms 25s, sms ` +
			`25s, voice`,
		"sms 25s,": `fallback: "": each step is a channel and a wait, like: sms 25s, sms 25s, voice`,
	} {
		steps, err := application.ParseFallback(text)
		if err == nil {
			err = application.Policy{Fallback: steps}.Validate()
		}
		got := "ok"
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
	steps := []application.Step{{Channel: channel.WhatsApp, Wait: 20}, {Channel: channel.Voice}}
	if p := (application.Policy{Fallback: steps}).Filled(); fmt.Sprintln(p.Channels,
		p.First()) != "[whatsapp voice] whatsapp\n" {
		t.Errorf("the channels of an order: %v, first %s", p.Channels, p.First())
	}
	err := application.Policy{Fallback: steps, Channels: []channel.Kind{channel.WhatsApp}}.Validate()
	if err == nil || err.Error() != "policy.fallback[1].channel: voice is not among the policy's channels" {
		t.Errorf("a call that the policy does not allow: %v", err)
	}
}
