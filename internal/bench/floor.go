//go:build linux

package bench

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
)

// record is what the floor writes for each operation, in bytes.
const record = 256

// maxShared is how many operations may share a commit of the floor: as many as in Dialproof.
const maxShared = 256

// fileSize is the file that the floor goes round in, in bytes, allocated before the first operation.
const fileSize = 64 << 20

// Floor is the least that a durable verification service can do: decode JSON, write 256 bytes so that they survive
// (operations that come together share an fdatasync), post to the provider, answer. It knows no rule at all.
//
// ServeFloor serves it until ctx ends, and prints its address as the first line.
func ServeFloor(ctx context.Context, dir, provider string, out io.Writer) error {
	f, err := newFloor(dir, provider)
	if err != nil {
		return err
	}
	defer f.file.Close() //nolint:errcheck // what was acknowledged has been synced
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintln(out, l.Addr())
	mux := http.NewServeMux()
	mux.HandleFunc("POST /start", f.start)
	mux.HandleFunc("POST /check", f.check)
	mux.HandleFunc("GET /stats", f.stats)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go f.write(ctx)
	go func() { <-ctx.Done(); _ = server.Close() }()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

type floor struct {
	file     *os.File
	provider string
	client   *http.Client
	waiting  chan chan error
	syncs    atomic.Int64
	ids      atomic.Int64
}

func newFloor(dir, provider string) (*floor, error) {
	file, err := os.OpenFile(filepath.Join(dir, "floor.log"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	// Written once, so that a commit touches data alone.
	if _, err := file.Write(make([]byte, fileSize)); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	if err := file.Sync(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 1024, MaxIdleConns: 1024}
	return &floor{
		file:     file,
		provider: provider,
		client:   &http.Client{Transport: transport, Timeout: 10 * time.Second},
		waiting:  make(chan chan error, 16*maxShared),
	}, nil
}

// write commits for everybody.
func (f *floor) write(ctx context.Context) {
	page := make([]byte, record*maxShared)
	_, _ = rand.Read(page) // it never fails
	var at int64
	for {
		var batch []chan error
		select {
		case <-ctx.Done():
			return
		case w := <-f.waiting:
			batch = append(batch, w)
		}
		for more := true; more && len(batch) < maxShared; {
			select {
			case w := <-f.waiting:
				batch = append(batch, w)
			default:
				more = false
			}
		}
		n := int64(len(batch) * record)
		if at+n > fileSize {
			at = 0
		}
		_, err := f.file.WriteAt(page[:n], at)
		if err == nil {
			err = syscall.Fdatasync(int(f.file.Fd()))
		}
		at += n
		f.syncs.Add(1)
		for _, w := range batch {
			w <- err
		}
	}
}

func (f *floor) commit() error {
	w := make(chan error, 1)
	f.waiting <- w
	return <-w
}

func (f *floor) start(w http.ResponseWriter, r *http.Request) {
	var in struct{ To, Purpose, Locale, Channel string }
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if err := f.commit(); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	body, _ := json.Marshal(map[string]string{"to": in.To, "text": "123456 is your code.", "code": "123456"})
	//nolint:noctx // the floor does the least
	resp, err := f.client.Post(f.provider, "application/json", bytes.NewReader(body))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	f.answer(w, map[string]string{"id": fmt.Sprintf("v%d", f.ids.Add(1)), "status": "pending", "to": in.To})
}

func (f *floor) check(w http.ResponseWriter, r *http.Request) {
	var in struct{ ID, Code string }
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if err := f.commit(); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	f.answer(w, map[string]string{"id": in.ID, "status": "approved"})
}

func (f *floor) answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

// stats answers what the kernel does not know, as Dialproof's metrics would.
func (f *floor) stats(w http.ResponseWriter, _ *http.Request) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	fmt.Fprintf(w, "go_memstats_mallocs_total %d\ndialproof_store_commit_batch_count %d\n", m.Mallocs, f.syncs.Load())
}
