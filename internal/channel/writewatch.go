package channel

import (
	"context"
	"net/http/httptrace"
	"sync/atomic"
)

// writeWatch remembers whether any byte of a request may have gone out on a connection.
type writeWatch struct {
	connected atomic.Bool
	hooks     httptrace.ClientTrace
}

// trace marks the moment a connection is handed to the request: from then on bytes may have left.
func (w *writeWatch) trace(ctx context.Context) context.Context {
	w.hooks.GotConn = func(httptrace.GotConnInfo) { w.connected.Store(true) }
	return httptrace.WithClientTrace(ctx, &w.hooks)
}

func (w *writeWatch) started() bool { return w.connected.Load() }
