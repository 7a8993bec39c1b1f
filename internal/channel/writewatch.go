package channel

import (
	"context"
	"net/http/httptrace"
	"sync/atomic"
)

// writeWatch remembers whether any byte of a request may have gone out on a connection.
type writeWatch struct{ connected atomic.Bool }

// trace marks the moment a connection is handed to the request: from then on bytes may have left.
func (w *writeWatch) trace(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { w.connected.Store(true) },
	})
}

func (w *writeWatch) started() bool { return w.connected.Load() }
