//go:build linux

package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// lane is one keep-alive connection of the load. It speaks just enough HTTP/1.1 to cost little beside the server.
type lane struct {
	conn net.Conn
	in   *bufio.Reader
	out  []byte
	body []byte
	// retry is whether the newest answer said when to come again.
	retry bool
}

// callTimeout bounds one request.
const callTimeout = 30 * time.Second

// The types of bodies.
const (
	jsonType = "application/json"
	formType = "application/x-www-form-urlencoded"
)

// post sends JSON and answers status and body, which are good until the next call.
func (l *lane) post(host, path, auth string, body []byte) (status int, answer []byte, err error) {
	return l.send("POST", host, path, auth, jsonType, body)
}

func (l *lane) send(method, host, path, auth, kind string, body []byte) (status int, answer []byte, err error) {
	o := append(l.out[:0], method...)
	o = append(append(o, ' '), path...)
	o = append(append(o, " HTTP/1.1\r\nHost: "...), host...)
	if auth != "" {
		o = append(append(o, "\r\nAuthorization: "...), auth...)
	}
	o = append(append(o, "\r\nContent-Type: "...), kind...)
	o = append(o, "\r\nContent-Length: "...)
	o = strconv.AppendInt(o, int64(len(body)), 10)
	o = append(append(o, "\r\n\r\n"...), body...)
	l.out = o
	if err := l.conn.SetDeadline(time.Now().Add(callTimeout)); err != nil {
		return 0, nil, err
	}
	if _, err := l.conn.Write(o); err != nil {
		return 0, nil, err
	}
	return l.receive()
}

func (l *lane) receive() (status int, body []byte, err error) {
	line, err := l.in.ReadSlice('\n')
	if err != nil {
		return 0, nil, err
	}
	if len(line) < 12 {
		return 0, nil, fmt.Errorf("no status line: %q", line)
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, nil, err
	}
	n := 0
	l.retry = false
	for {
		if line, err = l.in.ReadSlice('\n'); err != nil {
			return 0, nil, err
		}
		if len(line) <= 2 {
			break
		}
		if v, ok := header(line, "content-length:"); ok {
			if n, err = strconv.Atoi(string(v)); err != nil {
				return 0, nil, err
			}
		}
		if _, ok := header(line, "retry-after:"); ok {
			l.retry = true
		}
	}
	if cap(l.body) < n {
		l.body = make([]byte, n)
	}
	body = l.body[:n]
	for got := 0; got < n; {
		k, err := l.in.Read(body[got:])
		if err != nil {
			return 0, nil, err
		}
		got += k
	}
	return status, body, nil
}

// header returns the value of a header line of that name, which is in lower case and ends with a colon.
func header(line []byte, name string) ([]byte, bool) {
	if len(line) < len(name) || !bytes.EqualFold(line[:len(name)], []byte(name)) {
		return nil, false
	}
	return bytes.TrimSpace(line[len(name):]), true
}

// drive runs ops operations over connections lanes and answers how long each took.
func drive(ctx context.Context, address string, connections, ops int,
	op func(*lane, int) error) ([]time.Duration, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	took := make([]time.Duration, ops)
	var next atomic.Int64
	var all sync.WaitGroup
	for range min(connections, ops) {
		l, err := dial(ctx, address)
		if err != nil {
			cancel(err)
			break
		}
		all.Go(func() {
			defer l.conn.Close() //nolint:errcheck // everything was answered
			for i := int(next.Add(1)) - 1; i < ops && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				begin := time.Now()
				if err := op(l, i); err != nil {
					cancel(err)
					return
				}
				took[i] = time.Since(begin)
			}
		})
	}
	all.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return took, nil
}

func dial(ctx context.Context, address string) (*lane, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &lane{conn: c, in: bufio.NewReaderSize(c, 16<<10)}, nil
}

// percentiles returns the middle, the 99th and the 99.9th of a hundred; 0 of nothing.
func percentiles(took []time.Duration) (p50, p99, p999 time.Duration) {
	if len(took) == 0 {
		return 0, 0, 0
	}
	sorted := slices.Sorted(slices.Values(took))
	at := func(share float64) time.Duration { return sorted[min(int(share*float64(len(sorted))), len(sorted)-1)] }
	return at(.5), at(.99), at(.999)
}

// field returns the value of a JSON string field, by looking for its first appearance.
func field(body []byte, name string) (string, error) {
	_, rest, ok := bytes.Cut(body, []byte(`"`+name+`":"`))
	if !ok {
		return "", errors.New("the answer has no " + name + ": " + string(body[:min(len(body), 200)]))
	}
	value, _, _ := bytes.Cut(rest, []byte{'"'})
	return string(value), nil
}

// numbers makes German mobile numbers, each one once in a run. Nothing leaves the machine: the sink takes them.
type numbers struct{ n atomic.Int64 }

func (n *numbers) next() string { return fmt.Sprintf("+49151%08d", 10_000_000+n.n.Add(1)) }
