package handset

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/channeltest"
)

func open(t *testing.T, dir string) *Box {
	t.Helper()
	b, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func send(t *testing.T, b *Box, m channel.Message) channel.Accepted {
	t.Helper()
	s, err := Provider(b).Config().Open(channel.Env{Now: channeltest.Now})
	if err != nil {
		t.Fatal(err)
	}
	a, err := s.Send(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestMessagesArriveAndStay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := open(t, dir)
	news, stop := b.Subscribe()
	defer stop()
	m := channeltest.Message(channel.SMS)
	if a := send(t, b, m); a.Status != channel.Delivered || a.ID != m.Delivery {
		t.Errorf("%+v", a)
	}
	if got := <-news; got.To != "+447700900123" || !strings.Contains(got.Text, "90817263") ||
		!got.At.Equal(channeltest.Now()) {
		t.Errorf("the news is %+v", got)
	}
	m.Channel = channel.Voice
	send(t, b, m)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, dir).List("+447700900123", 10)
	if len(again) != 2 || again[0].Channel != "voice" || again[1].Channel != "sms" {
		t.Errorf("after a restart: %+v", again)
	}
	if none := open(t, dir).List("+447700900124", 10); len(none) != 0 {
		t.Errorf("another number has %+v", none)
	}
}

func TestTornLineIsDropped(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := open(t, dir)
	send(t, b, channeltest.Message(channel.SMS))
	path := filepath.Join(dir, fileName)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(whole, whole[:len(whole)/2]...), 0o600); err != nil {
		t.Fatal(err)
	}
	b2 := open(t, dir)
	send(t, b2, channeltest.Message(channel.SMS))
	if got := open(t, dir).List("", 10); len(got) != 2 {
		t.Errorf("%d messages, want 2", len(got))
	}
}

func TestTheBoxIsBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := open(t, dir)
	for i := range 2*Keep + 10 {
		if err := b.put(Message{To: fmt.Sprint(i), At: time.Unix(int64(i), 0)}); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.List("", 10*Keep); len(got) != Keep+10 || got[0].To != fmt.Sprint(2*Keep+9) {
		t.Errorf("%d messages are kept, the newest is %s", len(got), got[0].To)
	}
	info, err := os.Stat(filepath.Join(dir, fileName))
	if err != nil || info.Size() > 2*Keep*100 {
		t.Errorf("the file has %d bytes, %v", info.Size(), err)
	}
}

func TestAFullDiskIsNoMessage(t *testing.T) {
	t.Parallel()
	b := open(t, t.TempDir())
	_ = b.file.Close() // every write fails now
	s, _ := Provider(b).Config().Open(channel.Env{Now: channeltest.Now})
	_, err := s.Send(t.Context(), channeltest.Message(channel.SMS))
	if e, ok := errors.AsType[*channel.Error](err); !ok || e.Kind != channel.Unavailable ||
		strings.Contains(err.Error(), "7700") {
		t.Errorf("%v", err)
	}
	b.file, _ = os.OpenFile(b.path, os.O_APPEND|os.O_WRONLY, 0o600)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Send(ctx, channeltest.Message(channel.SMS)); err == nil {
		t.Error("sent without time")
	}
}
