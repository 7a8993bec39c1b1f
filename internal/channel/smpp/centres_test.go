package smpp

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/channeltest"
	"github.com/dialproof/dialproof/internal/message"
	"github.com/dialproof/dialproof/internal/secret"
)

// program is how an SMSC that others have written is started.
type program struct {
	command []string
	// has reports whether the machine has what the program needs.
	has func(t *testing.T) error
	// messages of a whole test, and of a short one.
	messages, short int
	// idFormat is the setting for it.
	idFormat string
}

func programs() map[string]program {
	return map[string]program{
		"npm": {
			command: []string{"node", "testdata/npm/smsc.js"}, messages: 10_000, short: 1_000, idFormat: "auto",
			has: func(*testing.T) error {
				_, err := os.Stat("testdata/npm/node_modules/smpp/package.json")
				return err
			},
		},
		"perl": {
			command: []string{"perl", "testdata/perl/smsc.pl"}, messages: 10_000, short: 1_000, idFormat: "as-is",
			has: func(t *testing.T) error { return exec.CommandContext(t.Context(), "perl", "-MNet::SMPP", "-e1").Run() },
		},
	}
}

// centre is a running program.
type centre struct {
	t       *testing.T
	p       program
	address string
	journal string
	cmd     *exec.Cmd
	in      io.Closer
	said    bytes.Buffer
}

// entry is a line of a journal: a message that was taken, or a receipt that was acknowledged.
type entry struct {
	ID      string   `json:"id"`
	Text    string   `json:"text"`
	UDH     []string `json:"udh"`
	From    string   `json:"from"`
	To      string   `json:"to"`
	Receipt string   `json:"receipt"`
}

// open starts a program on a port of its own. What is missing is a failure, so that nobody takes a test for run that
// was not; only a short test may do without.
func (p program) open(t *testing.T) *centre {
	t.Helper()
	_, err := exec.LookPath(p.command[0])
	if err == nil {
		err = p.has(t)
	}
	switch {
	case err != nil && testing.Short():
		t.Skipf("%s cannot run here: %v", p.command[0], err)
	case err != nil:
		t.Fatalf("%s or its SMPP package is missing (%v): run scripts/setup-test.sh, or go test -short", p.command[0], err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	c := &centre{t: t, p: p, address: l.Addr().String(), journal: filepath.Join(t.TempDir(), "journal")}
	c.start()
	t.Cleanup(func() {
		c.kill()
		if t.Failed() && c.said.Len() > 0 {
			t.Logf("%s said: %.2000s", p.command[0], c.said.String())
		}
	})
	return c
}

func (c *centre) start() {
	c.t.Helper()
	_, port, _ := net.SplitHostPort(c.address)
	c.cmd = exec.Command(c.p.command[0], append(c.p.command[1:], port, c.journal)...)
	c.cmd.Stderr = &c.said
	in, err := c.cmd.StdinPipe() // it ends when we do
	if err != nil {
		c.t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.in = in
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		c.t.Fatalf("%s does not start: %q %v %s", c.p.command[0], line, err, c.said.String())
	}
}

// kill kills the program as nobody should: without a word.
func (c *centre) kill() {
	if c.cmd.Process != nil {
		c.cmd.Process.Kill()
		c.in.Close()
		c.cmd.Wait()
	}
}

// entries reads the journal.
func (c *centre) entries() (messages map[string]entry, receipts map[string]bool) {
	c.t.Helper()
	text, err := os.ReadFile(c.journal)
	if err != nil {
		c.t.Fatal(err)
	}
	messages, receipts = map[string]entry{}, map[string]bool{}
	for line := range strings.Lines(string(text)) {
		var e entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			c.t.Fatalf("%q: %v", line, err)
		}
		if e.Receipt != "" {
			receipts[e.Receipt] = true
		} else {
			messages[e.ID] = e
		}
	}
	return messages, receipts
}

// wording returns a text of its own for each message, in both alphabets.
func wording(n int) string {
	if n%10 == 0 {
		return fmt.Sprintf("Ваш код %d 🙂", n)
	}
	return fmt.Sprintf("Grüße: [%d] €, ñ_@£", n)
}

// TestCentres: messages to SMSCs that others have written, which are killed in the middle. None is lost and none goes
// twice: each is taken and gets its receipt, or Send said that it surely did not leave and it went when tried again, or
// Send said that it may have left.
func TestCentres(t *testing.T) {
	t.Parallel()
	for name, p := range programs() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := p.open(t)
			many := p.messages
			if testing.Short() {
				many = p.short
			}
			config := settings(c.address)
			config.Binds, config.IDFormat = 3, p.idFormat
			r := prepare(t, config)
			r.times.patience = 20 * time.Millisecond // shorter than the SMSC is gone
			r.run(t)
			began := time.Now()
			o := flood(t, c, r, many)
			took := time.Since(began)
			o.collect(t, r)
			t.Logf("%d messages in %v: %d taken, %d may have left, %d tried again", many, took.Round(time.Millisecond),
				len(o.taken), o.perhaps.Load(), o.again.Load())
			r.stop()
			o.judge(t, c, many)
		})
	}
}

// outcome is what became of the messages: taken has the texts by id.
type outcome struct {
	mu             sync.Mutex
	taken          map[string]string
	perhaps, again atomic.Int64
}

// flood sends many messages at once, with a kill after the first half.
func flood(t *testing.T, c *centre, r *route, many int) *outcome {
	t.Helper()
	o := &outcome{taken: map[string]string{}}
	var next atomic.Int64
	var all sync.WaitGroup
	half := make(chan struct{})
	for range 64 {
		all.Go(func() {
			for n := int(next.Add(1)); n <= many; n = int(next.Add(1)) {
				if n == many/2 {
					close(half)
				}
				if !o.send(t, r, n) {
					return
				}
			}
		})
	}
	<-half
	c.kill()
	c.start()
	all.Wait()
	return o
}

// send sends one message until it is taken or may have left.
func (o *outcome) send(t *testing.T, r *route, n int) bool {
	m := channeltest.Message(channel.SMS)
	m.From, m.Text = "Acme", message.Text{Body: wording(n)}
	for {
		a, err := r.Send(t.Context(), m)
		if err == nil {
			o.mu.Lock()
			o.taken[a.ID] = m.Text.Body
			o.mu.Unlock()
			return true
		}
		switch e := channel.AsError("", err); e.Kind {
		case channel.MaybeSent:
			o.perhaps.Add(1)
			return true
		case channel.Unavailable, channel.Throttled:
			o.again.Add(1)
		default:
			t.Errorf("message %d: %v", n, e)
			return false
		}
	}
}

// collect waits for the receipts of all messages that were taken.
func (o *outcome) collect(t *testing.T, r *route) {
	t.Helper()
	missing := map[string]bool{}
	for id := range o.taken {
		missing[id] = true
	}
	patience := time.NewTimer(time.Minute)
	defer patience.Stop()
	for len(missing) > 0 {
		select {
		case receipt := <-r.receipts:
			if receipt.Status != channel.Delivered {
				t.Fatalf("%+v", receipt)
			}
			delete(missing, receipt.ProviderID)
		case <-patience.C:
			t.Fatalf("%d of %d messages have no receipt", len(missing), len(o.taken))
		}
	}
}

// judge compares what Send said with what the SMSC wrote down.
func (o *outcome) judge(t *testing.T, c *centre, many int) {
	t.Helper()
	if int64(len(o.taken))+o.perhaps.Load() != int64(many) {
		t.Errorf("%d taken and %d perhaps of %d: two messages had one id", len(o.taken), o.perhaps.Load(), many)
	}
	messages, receipts := c.entries()
	times := map[string]int{}
	for id, e := range messages {
		times[e.Text]++
		if e.To != "447700900123" || e.From != "Acme" {
			t.Fatalf("the SMSC has %+v", e)
		}
		if text, ok := o.taken[id]; ok && text != e.Text {
			t.Fatalf("the SMSC has %q for %q", e.Text, text)
		}
	}
	for id := range o.taken {
		if _, ok := messages[id]; !ok || !receipts[id] {
			t.Fatalf("the SMSC does not know the message %s (%v) or of its receipt (%v)", id, ok, receipts[id])
		}
	}
	for text, n := range times {
		if n != 1 {
			t.Errorf("%q went %d times", text, n)
		}
	}
	if extra := int64(len(messages) - len(o.taken)); extra > o.perhaps.Load() {
		t.Errorf("the SMSC has %d messages that Send knows nothing of, %d may have left", extra, o.perhaps.Load())
	}
}

// TestCentresLong: others read our long messages as we mean them.
func TestCentresLong(t *testing.T) {
	t.Parallel()
	for name, p := range programs() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := p.open(t)
			config := settings(c.address)
			config.IDFormat = p.idFormat
			r := start(t, config)
			for _, text := range []string{strings.Repeat("{[€]} ñandú_ ", 40), strings.Repeat("Ваш код 🙂 ", 30)} {
				m := channeltest.Message(channel.SMS)
				m.Text = message.Text{Body: text}
				a, err := r.Send(t.Context(), m)
				if err != nil {
					t.Fatal(err)
				}
				if receipt := <-r.receipts; receipt.ProviderID != a.ID {
					t.Errorf("the receipt %+v is not that of %s", receipt, a.ID)
				}
				messages, _ := c.entries()
				joined, head := "", ""
				for range a.Parts {
					var next entry
					for id, e := range messages {
						if next.ID == "" || id < next.ID {
							next = e
						}
					}
					delete(messages, next.ID)
					joined += next.Text
					head += strings.Join(next.UDH, "") + " "
				}
				if joined != text || a.Parts < 4 || !strings.Contains(head, fmt.Sprintf("%02x02 ", a.Parts)) {
					t.Errorf("the SMSC has %q with headers %s, want %q", joined, head, text)
				}
				if err := os.Truncate(c.journal, 0); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// TestCentresRefuse: others' SMSCs refuse a wrong password in a way that we understand.
func TestCentresRefuse(t *testing.T) {
	t.Parallel()
	for name, p := range programs() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := p.open(t)
			config := settings(c.address)
			if err := prepare(t, config).Check(t.Context()); err != nil {
				t.Error(err)
			}
			config.Password = secret.New("wrong")
			if e := channel.AsError("", prepare(t, config).Check(t.Context())); e.Kind != channel.Refused ||
				e.Code != "ESME_RINVPASWD" {
				t.Errorf("a wrong password: %v", e)
			}
		})
	}
}

// TestErrorNames: the names and numbers of our error table are those of the npm package.
func TestErrorNames(t *testing.T) {
	t.Parallel()
	c := programs()["npm"].open(t)
	c.kill()
	out, err := exec.CommandContext(t.Context(), "node", "-e",
		`console.log(JSON.stringify(require("./testdata/npm/node_modules/smpp").errors))`).Output()
	if err != nil {
		t.Fatal(err)
	}
	var theirs map[string]uint32
	if err := json.Unmarshal(out, &theirs); err != nil {
		t.Fatal(err)
	}
	newer := map[string]string{ // the package has the names of SMPP 5.0
		"ESME_RINVOPTPARSTREAM": "ESME_RINVTLVSTREAM",
		"ESME_ROPTPARNOTALLWD":  "ESME_RTLVNOTALLWD",
		"ESME_RINVPARLEN":       "ESME_RINVTLVLEN",
		"ESME_RMISSINGOPTPARAM": "ESME_RMISSINGTLV",
		"ESME_RINVOPTPARAMVAL":  "ESME_RINVTLVVAL",
	}
	for status, row := range errorTable() {
		n, ok := theirs[row.code]
		if !ok {
			n, ok = theirs[newer[row.code]]
		}
		if !ok || n != status {
			t.Errorf("%s is %#x, theirs is %#x (%v)", row.code, status, n, ok)
		}
	}
}
