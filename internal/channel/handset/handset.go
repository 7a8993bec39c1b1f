// Package handset is the provider for development: it delivers to a phone in the browser.
//
// Its messages, codes and whole numbers in them, are kept in a file of the data folder, the one place where
// Dialproof writes either down. It reaches nobody, and no production deployment wants it.
package handset

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/message"
)

// Keep is how many messages a box keeps. When twice as many are in its file, the older half is dropped.
const Keep = 1000

// fileName is the box's file in the data folder.
const fileName = "handset.jsonl"

// Message is what a person received.
type Message struct {
	To      string    `json:"to"`
	From    string    `json:"from"`
	Channel string    `json:"channel"`
	Text    string    `json:"text"`
	At      time.Time `json:"at"`
}

// Box is where the messages are. It is safe for many goroutines.
type Box struct {
	path string

	mu       sync.Mutex
	file     *os.File
	messages []Message // oldest first
	inFile   int
	readers  map[chan Message]struct{}
}

// Open opens the box of a data folder. A last line that a crash has torn is dropped.
func Open(dataDir string) (*Box, error) {
	b := &Box{path: filepath.Join(dataDir, fileName), readers: map[chan Message]struct{}{}}
	text, err := os.ReadFile(b.path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("handset: %w", err)
	}
	scan := bufio.NewScanner(bytes.NewReader(text))
	scan.Buffer(nil, 1<<20)
	for scan.Scan() {
		var m Message
		if json.Unmarshal(scan.Bytes(), &m) == nil {
			b.messages = append(b.messages, m)
		}
	}
	b.messages = slices.Clone(b.messages[max(len(b.messages)-Keep, 0):])
	return b, b.rewrite()
}

// rewrite puts the kept messages into a new file and takes it into use.
func (b *Box) rewrite() error {
	var text bytes.Buffer
	for _, m := range b.messages {
		line, err := json.Marshal(m)
		if err != nil {
			return fmt.Errorf("handset: %w", err)
		}
		text.Write(append(line, '\n'))
	}
	if err := os.WriteFile(b.path+".new", text.Bytes(), 0o600); err != nil {
		return fmt.Errorf("handset: %w", err)
	}
	if err := os.Rename(b.path+".new", b.path); err != nil {
		return fmt.Errorf("handset: %w", err)
	}
	if b.file != nil {
		_ = b.file.Close() // it has been replaced
	}
	var err error
	b.file, err = os.OpenFile(b.path, os.O_APPEND|os.O_WRONLY, 0o600)
	b.inFile = len(b.messages)
	return err
}

// Close closes the file.
func (b *Box) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.file.Close()
}

// put keeps a message and tells the readers. It answers when the message is on the disk.
func (b *Box) put(m Message) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	line, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if _, err := b.file.Write(append(line, '\n')); err != nil {
		return err
	}
	if err := b.file.Sync(); err != nil {
		return err
	}
	b.messages = append(b.messages, m)
	for r := range b.readers {
		select {
		case r <- m:
		default: // a reader that does not read finds it in the list
		}
	}
	if b.inFile++; b.inFile < 2*Keep {
		return nil
	}
	b.messages = slices.Clone(b.messages[len(b.messages)-Keep:])
	return b.rewrite()
}

// List returns at most limit messages to a number (empty: to all), newest first.
func (b *Box) List(to string, limit int) []Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []Message
	for _, m := range slices.Backward(b.messages) {
		if len(out) == limit {
			break
		}
		if to == "" || m.To == to {
			out = append(out, m)
		}
	}
	return out
}

// Subscribe returns new messages as they come, until stop is called.
func (b *Box) Subscribe() (news <-chan Message, stop func()) {
	r := make(chan Message, 64)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.readers[r] = struct{}{}
	return r, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.readers, r)
	}
}

// Provider returns the provider that delivers to the box.
func Provider(box *Box) channel.Provider {
	return channel.Provider{
		Name: "handset", Title: "Handset", DevOnly: true,
		Summary:  "A phone in the browser, for development.",
		Channels: channel.Kinds(),
		Config:   func() channel.Opener { return &Config{box: box} },
	}
}

// Config is the settings of a route. There are none.
type Config struct{ box *Box }

// Validate implements channel.Opener.
func (*Config) Validate() error { return nil }

// Open implements channel.Opener.
func (c *Config) Open(env channel.Env) (channel.Sender, error) {
	if c.box == nil {
		return nil, errors.New("handset: there is no box to deliver to")
	}
	return &sender{box: c.box, now: env.Now}, nil
}

type sender struct {
	box *Box
	now func() time.Time
}

var _ channel.Sender = (*sender)(nil)

// Channels implements channel.Sender.
func (*sender) Channels() []channel.Kind { return channel.Kinds() }

// Send implements channel.Sender. What the box has, the person has.
func (s *sender) Send(ctx context.Context, m channel.Message) (channel.Accepted, error) {
	if err := ctx.Err(); err != nil {
		return channel.Accepted{}, (&channel.Error{Kind: channel.Unavailable, Provider: "handset", Code: "canceled",
			Detail: "there was no time left"}).Because(err)
	}
	text := m.Text.Body
	if m.Channel == channel.Voice {
		text = spoken(m.Spoken)
	}
	err := s.box.put(Message{To: m.To.E164(), From: m.From, Channel: string(m.Channel), Text: text, At: s.now().UTC()})
	if err != nil {
		return channel.Accepted{}, (&channel.Error{Kind: channel.Unavailable, Provider: "handset", Code: "disk",
			Detail: "the message cannot be written to the data folder"}).Because(err)
	}
	return channel.Accepted{ID: m.Delivery, Parts: m.Text.Parts, Status: channel.Delivered}, nil
}

// spoken returns what a call would say.
func spoken(s message.Spoken) string { return s.Prompt + "\n" + s.Script() }
