package smpp

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/channel/channeltest"
	"github.com/dialproof/dialproof/internal/channel/smpp/pdu"
	"github.com/dialproof/dialproof/internal/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// smsc is a centre that does as it is told, well or badly.
type smsc struct {
	// script is asked first about each PDU; true means that it has dealt with it.
	script func(l *link, p pdu.PDU) bool
	// receipts: every message that asks for one is reported delivered at once.
	receipts bool
	// forgetful: it does not keep what it hears.
	forgetful bool
	// tls is set for a centre that speaks TLS.
	tls *tls.Config

	listener net.Listener
	serving  sync.WaitGroup
	ids      atomic.Int64

	mu    sync.Mutex
	links map[*link]bool
	heard []pdu.PDU
}

// link is one connection to an smsc.
type link struct {
	centre *smsc
	conn   net.Conn
	in     *bufio.Reader
	mu     sync.Mutex
	next   uint32
}

// listen opens the centre on an address of its own.
func (c *smsc) listen(t testing.TB) string {
	t.Helper()
	var err error
	if c.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	c.serving.Go(func() {
		for {
			conn, err := c.listener.Accept()
			if err != nil {
				return
			}
			if c.tls != nil {
				conn = tls.Server(conn, c.tls)
			}
			c.serving.Go(func() { c.serve(conn) })
		}
	})
	t.Cleanup(c.close)
	return c.listener.Addr().String()
}

func (c *smsc) close() {
	if c.listener != nil {
		c.listener.Close()
	}
	c.drop()
	c.serving.Wait()
}

// drop breaks all connections.
func (c *smsc) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for l := range c.links {
		l.conn.Close()
	}
}

// serve answers one connection.
func (c *smsc) serve(conn net.Conn) {
	l := &link{centre: c, conn: conn, in: bufio.NewReader(conn)}
	c.mu.Lock()
	if c.links == nil {
		c.links = map[*link]bool{}
	}
	c.links[l] = true
	c.mu.Unlock()
	defer func() {
		conn.Close()
		c.mu.Lock()
		delete(c.links, l)
		c.mu.Unlock()
	}()
	for {
		p, err := pdu.Read(l.in)
		if err != nil {
			return
		}
		if !c.forgetful {
			c.mu.Lock()
			c.heard = append(c.heard, p)
			c.mu.Unlock()
		}
		if c.script == nil || !c.script(l, p) {
			l.usual(p)
		}
	}
}

// all returns what was heard of a command.
func (c *smsc) all(command pdu.Command) (out []pdu.PDU) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.heard {
		if p.Command == command {
			out = append(out, p)
		}
	}
	return out
}

// open returns how many connections are open.
func (c *smsc) open() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.links)
}

// usual does what a good centre does.
func (l *link) usual(p pdu.PDU) {
	switch p.Command {
	case pdu.BindTransceiver:
		l.say(pdu.PDU{Command: pdu.BindTransceiverResp, Sequence: p.Sequence, Body: &pdu.BindResp{SystemID: "fake"}})
	case pdu.EnquireLink:
		l.say(pdu.PDU{Command: pdu.EnquireLinkResp, Sequence: p.Sequence})
	case pdu.Unbind:
		l.say(pdu.PDU{Command: pdu.UnbindResp, Sequence: p.Sequence})
		l.conn.Close()
	case pdu.SubmitSM:
		id := strconv.FormatInt(0xABC000+l.centre.ids.Add(1), 16)
		l.say(pdu.PDU{Command: pdu.SubmitSMResp, Sequence: p.Sequence, Body: &pdu.MessageResp{ID: id}})
		if m := p.Body.(*pdu.Message); l.centre.receipts && m.Registered != 0 {
			l.deliver(receiptOf(id, "DELIVRD"))
		}
	default:
	}
}

func (l *link) say(p pdu.PDU) {
	b, err := p.Append(nil)
	if err != nil {
		panic(err) // a fault of the test
	}
	l.raw(b)
}

func (l *link) raw(b []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn.Write(b) // whoever has gone will not miss it
}

// deliver sends a deliver_sm and answers its sequence number.
func (l *link) deliver(m *pdu.Message) uint32 {
	l.mu.Lock()
	l.next++
	n := l.next
	l.mu.Unlock()
	l.say(pdu.PDU{Command: pdu.DeliverSM, Sequence: n, Body: m})
	return n
}

// no returns a request with a command_status.
func (l *link) no(p pdu.PDU, status uint32) bool {
	l.say(pdu.PDU{Command: p.Command.Response(), Status: status, Sequence: p.Sequence})
	return true
}

// receiptOf makes a receipt in the usual text.
func receiptOf(id, stat string) *pdu.Message {
	return &pdu.Message{
		Source:   pdu.Address{TON: 1, NPI: 1, Value: "447700900123"},
		Dest:     pdu.Address{Value: "Acme"},
		ESMClass: pdu.ESMReceipt,
		Short: []byte("id:" + id + " sub:001 dlvrd:001 submit date:2611231200 done date:2611231201 stat:" + stat +
			" err:000 text:90817263 is"),
	}
}

const password = "pa55word"

// settings returns the defaults with an account.
func settings(addresses ...string) *Config {
	c := Provider().Config().(*Config)
	c.Addresses, c.SystemID, c.Password = addresses, "dialproof", secret.New(password)
	return c
}

// route is an opened sender with its log and the receipts that came.
type route struct {
	*sender
	log      *safeBuffer
	receipts chan channel.Receipt
	stop     func()
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// prepare opens a sender that does not run yet.
func prepare(t testing.TB, c *Config) *route {
	t.Helper()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	log := &safeBuffer{}
	opened, err := c.Open(channel.Env{
		Route: "main",
		Now:   channeltest.Now,
		Log:   slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	r := &route{sender: opened.(*sender), log: log, receipts: make(chan channel.Receipt, 100_000)}
	r.times.retry, r.times.maxRetry = time.Millisecond, 20*time.Millisecond
	r.stop = func() {}
	return r
}

// run lets a sender run until stop, or the test's end.
func (r *route) run(t testing.TB) *route {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx, func(receipt channel.Receipt) { r.receipts <- receipt }) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run answered %v", err)
		}
		if n := r.bound.Load(); n != 0 {
			t.Errorf("%d sessions are still counted", n)
		}
		r.holds(t, nil)
	})
	t.Cleanup(r.stop)
	return r
}

// start opens a sender and runs it.
func start(t testing.TB, c *Config) *route {
	t.Helper()
	return prepare(t, c).run(t)
}

// holds judges that neither an error nor the log shows a secret, the code or the number.
func (r *route) holds(t testing.TB, err error) {
	t.Helper()
	dump, _ := json.Marshal(err)
	heard := fmt.Sprintf("%s\n%v\n%+v\n%s", r.log, err, err, dump)
	for _, s := range []string{password, "90817263", "7700900123"} {
		if strings.Contains(heard, s) {
			t.Errorf("an error or the log shows %q: %.400s", s, heard)
		}
	}
}

// fails sends a message that must fail with a kind and a code ("" for any).
func (r *route) fails(t testing.TB, ctx context.Context, kind channel.ErrorKind, code string) *channel.Error {
	t.Helper()
	_, err := r.Send(ctx, channeltest.Message(channel.SMS))
	r.holds(t, err)
	e, ok := errors.AsType[*channel.Error](err)
	if !ok {
		t.Fatalf("the error is %T %v, want %s", err, err, kind)
	}
	if e.Kind != kind || (code != "" && e.Code != code) || e.Provider != name || e.Detail == "" {
		t.Errorf("the error is %v, want %s %s", e, kind, code)
	}
	return e
}

// takes sends a message that must be taken.
func (r *route) takes(t testing.TB) channel.Accepted {
	t.Helper()
	a, err := r.Send(t.Context(), channeltest.Message(channel.SMS))
	if err != nil || a.ID == "" {
		t.Fatalf("%+v %v", a, err)
	}
	return a
}
