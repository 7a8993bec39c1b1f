package api

import (
	"net/http"
	"strings"
	"time"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/link"
	"github.com/dialproof/dialproof/internal/verify"
)

// linkBody is the body of a new link.
type linkBody struct {
	To          string            `json:"to"`
	Region      string            `json:"region"`
	Purpose     string            `json:"purpose"`
	Locale      string            `json:"locale"`
	Channel     channel.Kind      `json:"channel"`
	ReturnURL   string            `json:"return_url"`
	Embed       string            `json:"embed"`
	State       string            `json:"state"`
	ExpiresIn   *int              `json:"expires_in"`
	Transaction *transaction      `json:"transaction"`
	NoAutofill  bool              `json:"no_autofill"`
	Metadata    map[string]string `json:"metadata"`
}

type linkView struct {
	ID        string    `json:"id"`
	URL       string    `json:"url"`
	ExpiresAt time.Time `json:"expires_at"`
}

// createLink makes a link to the hosted page. It writes nothing down: the link carries all of it.
func (a *api) createLink(w http.ResponseWriter, r *http.Request) error {
	var in linkBody
	if _, err := decode(w, r, &in, false); err != nil {
		return err
	}
	if a.PublicURL == "" || a.Pages == nil {
		return newProblem("page_unavailable",
			"the deployment has no public_url, so nobody could open the page: its operator sets one")
	}
	caller := callOf(r).caller
	l, err := a.link(caller, &in)
	if err != nil {
		return err
	}
	err = a.Core.Vet(caller, verify.StartRequest{
		To:          l.To,
		Region:      l.Region,
		Channel:     l.Channel,
		Purpose:     l.Purpose,
		Locale:      l.Locale,
		Transaction: l.Transaction,
		Metadata:    l.Metadata,
	})
	if err != nil {
		return err
	}
	token := a.Links.Seal(l)
	if len(token) > link.MaxToken-128 { // room for what a step adds
		return wrong("metadata", "too_long", "makes the link too long: shorten metadata, state or return_url")
	}
	return answer(w, http.StatusCreated,
		linkView{l.ID.Text(id.Link), strings.TrimSuffix(a.PublicURL, "/") + "/verify/" + token, l.Expires})
}

// link returns what was asked for, or what of it cannot be.
func (a *api) link(c application.Caller, in *linkBody) (link.Link, error) {
	life := link.DefaultLife
	if in.ExpiresIn != nil {
		if *in.ExpiresIn < int(link.MinLife/time.Second) || *in.ExpiresIn > int(link.MaxLife/time.Second) {
			return link.Link{}, wrong("expires_in", "out_of_range", "must be 60 to 3600 seconds")
		}
		life = time.Duration(*in.ExpiresIn) * time.Second
	}
	if len(in.State) > link.MaxState || strings.ContainsFunc(in.State, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return link.Link{}, wrong("state", "invalid_value", "must be at most 512 bytes without control characters")
	}
	if err := endOf(c, in); err != nil {
		return link.Link{}, err
	}
	now := a.Now()
	return link.Link{
		ID:          a.IDs.New(now),
		Key:         c.Key.ID,
		Expires:     now.Add(life).UTC().Truncate(time.Second),
		To:          in.To,
		Region:      in.Region,
		Purpose:     in.Purpose,
		Locale:      in.Locale,
		Channel:     in.Channel,
		Return:      in.ReturnURL,
		Embed:       in.Embed,
		State:       in.State,
		Bare:        in.NoAutofill,
		Transaction: in.Transaction.core(),
		Metadata:    in.Metadata,
	}, nil
}

// endOf judges where the person goes at the end. Whoever could be sent anywhere from our address could be phished with
// it.
func endOf(c application.Caller, in *linkBody) error {
	switch {
	case in.ReturnURL == "" && in.Embed == "":
		return missing("return_url")
	case in.ReturnURL != "" && in.Embed != "":
		return wrong("embed", "conflict", "a link is either returned from or shown in a frame: give return_url or embed")
	case len(in.ReturnURL) > link.MaxReturn || strings.Contains(in.ReturnURL, "#"):
		return wrong("return_url", "invalid_value", "must be an address of at most 1024 bytes without a fragment")
	case in.ReturnURL != "" && !c.MayReturn(in.ReturnURL):
		return wrong("return_url", "not_allowed", "its origin is not among the application's return_urls")
	}
	if in.Embed == "" {
		return nil
	}
	if origin, ok := application.Origin(in.Embed); !ok || origin != in.Embed {
		return wrong("embed", "invalid_value", "must be the origin of your page, like https://shop.example")
	}
	if !c.MayReturn(in.Embed) {
		return wrong("embed", "not_allowed", "is not among the application's return_urls")
	}
	return nil
}
