package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Filter narrows List. Empty fields let everything through.
type Filter struct {
	// To is a number as for a start: E.164, or a national one with Region.
	To            string
	Region        Region
	Status        Status
	Purpose       Purpose
	CreatedAfter  time.Time
	CreatedBefore time.Time
	// PageSize is how many come with one call, 1 to 100; 0 is the server's default.
	PageSize int
	// Cursor is where to go on: the NextCursor of a page before.
	Cursor string
}

const verifications = "/v1/verifications"

// Start asks for a verification and answers it when it is durable and on its way.
func (c *Client) Start(ctx context.Context, r StartRequest, opts ...CallOption) (*Verification, error) {
	return c.post(ctx, verifications, r, opts)
}

// Check submits the code that the person typed for the verification named id. Look at Answer.Result:
//
//	a, err := c.Check(ctx, id, typed)
//	switch {
//	case err != nil: // the server could not be asked, or refused the request
//	case a.Result == client.ResultApproved: // the person holds the number
//	default: // a.AttemptsLeft says how often they may still try
//	}
func (c *Client) Check(ctx context.Context, id, code string, opts ...CallOption) (*Answer, error) {
	return c.CheckCode(ctx, id, CheckCode{Code: code}, opts...)
}

// CheckCode is Check with a transaction, which must be that of the start.
func (c *Client) CheckCode(ctx context.Context, id string, r CheckCode, opts ...CallOption) (*Answer, error) {
	return c.check(ctx, verifications+"/"+url.PathEscape(id)+"/check", r, opts)
}

// CheckByNumber is Check for the newest verification of a number and purpose, for who did not keep the id.
func (c *Client) CheckByNumber(ctx context.Context, r CheckRequest, opts ...CallOption) (*Answer, error) {
	return c.check(ctx, verifications+"/check", r, opts)
}

// Resend sends the code again, over channel if it is not empty. Too early, it fails with CodeRateLimited.
func (c *Client) Resend(ctx context.Context, id string, channel Channel, opts ...CallOption) (*Verification, error) {
	return c.post(ctx, verifications+"/"+url.PathEscape(id)+"/resend", Resend{Channel: channel}, opts)
}

// Cancel ends a pending verification. Its code is dead when Cancel returns.
func (c *Client) Cancel(ctx context.Context, id string, opts ...CallOption) (*Verification, error) {
	return c.post(ctx, verifications+"/"+url.PathEscape(id)+"/cancel", struct{}{}, opts)
}

// Get returns the verification named id.
func (c *Client) Get(ctx context.Context, id string) (*Verification, error) {
	v := &Verification{}
	if err := c.call(ctx, request{method: http.MethodGet, path: verifications + "/" + url.PathEscape(id)}, v); err != nil {
		return nil, err
	}
	return v, nil
}

func (c *Client) check(ctx context.Context, path string, in any, opts []CallOption) (*Answer, error) {
	a := &Answer{}
	if err := c.call(ctx, request{method: http.MethodPost, path: path, in: in}, a, opts...); err != nil {
		return nil, err
	}
	return a, nil
}

func (c *Client) post(ctx context.Context, path string, in any, opts []CallOption) (*Verification, error) {
	v := &Verification{}
	if err := c.call(ctx, request{method: http.MethodPost, path: path, in: in}, v, opts...); err != nil {
		return nil, err
	}
	return v, nil
}

// ListPage returns one page, newest first. The NextCursor of the last page is empty.
func (c *Client) ListPage(ctx context.Context, f Filter) (*VerificationPage, error) {
	page := &VerificationPage{}
	if err := c.call(ctx, request{method: http.MethodGet, path: verifications, query: f.values()}, page); err != nil {
		return nil, err
	}
	return page, nil
}

// List returns the verifications of the key's application, newest first, page after page as they are read:
//
//	for v, err := range c.List(ctx, client.Filter{Status: client.StatusPending}) {
//		if err != nil { return err }
//		fmt.Println(v.ID, v.To)
//	}
//
// After an error it ends.
func (c *Client) List(ctx context.Context, f Filter) iter.Seq2[*Verification, error] {
	return func(yield func(*Verification, error) bool) {
		for f := f; ; {
			page, err := c.ListPage(ctx, f)
			if err != nil {
				yield(nil, err)
				return
			}
			for i := range page.Data {
				if !yield(&page.Data[i], nil) {
					return
				}
			}
			if page.NextCursor == "" {
				return
			}
			f.Cursor = page.NextCursor
		}
	}
}

func (f Filter) values() url.Values {
	q := url.Values{}
	set := func(name, value string) {
		if value != "" {
			q.Set(name, value)
		}
	}
	set("to", f.To)
	set("region", f.Region)
	set("status", string(f.Status))
	set("purpose", f.Purpose)
	set("cursor", f.Cursor)
	for name, t := range map[string]time.Time{"created_after": f.CreatedAfter, "created_before": f.CreatedBefore} {
		if !t.IsZero() {
			q.Set(name, t.UTC().Format(time.RFC3339Nano))
		}
	}
	if f.PageSize > 0 {
		q.Set("limit", strconv.Itoa(f.PageSize))
	}
	return q
}
