package client

import (
	"context"
	"net/http"
)

// CreateLink makes a link to the hosted page, where a person enters the number and the code. Send the person to
// Link.URL, and keep Link.ID with their session: the proof with which they come back must name it.
func (c *Client) CreateLink(ctx context.Context, r NewLink, opts ...CallOption) (*Link, error) {
	l := &Link{}
	if err := c.call(ctx, request{method: http.MethodPost, path: "/v1/links", in: r}, l, opts...); err != nil {
		return nil, err
	}
	return l, nil
}
