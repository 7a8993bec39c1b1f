package verify

import (
	"context"
	"time"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/id"
)

// MaxPage is the most that one page of a list holds.
const MaxPage = 100

// scanMax bounds the rows that one page may look at; a page may come out short, with a cursor to go on.
const scanMax = 10_000

// Filter chooses verifications of one application.
type Filter struct {
	To, Region    string
	Status        Status
	Purpose       string
	After, Before time.Time // of creation
	Limit         int       // 1 to 100
	Cursor        id.ID     // continue after this one
}

// Page is a part of a list, newest first.
type Page struct {
	Items []*Verification
	// Next continues the list; zero at its end.
	Next id.ID
}

// Get returns one verification of the caller's application.
func (s *Service) Get(ctx context.Context, c application.Caller, v id.ID) (*Verification, error) {
	found, err := s.Store.Find(ctx, v)
	if err != nil {
		return nil, err
	}
	if found == nil || found.App != c.App.ID || found.Spec.Test != (c.Key.Mode == application.Test) {
		return nil, notFound()
	}
	return found, nil
}

// List returns the verifications of the caller's application that pass the filter, newest first.
func (s *Service) List(ctx context.Context, c application.Caller, f Filter) (Page, error) {
	l := &lister{f: f, test: c.Key.Mode == application.Test, service: s}
	if f.Limit <= 0 || f.Limit > MaxPage {
		return Page{}, invalid([]Field{field("limit", "out_of_range", "must be 1 to %d", MaxPage)})
	}
	from := f.Cursor
	if !f.Before.IsZero() {
		if end := id.At(f.Before); from.IsZero() || end.Seq() < from.Seq() {
			from = end
		}
	}
	if f.To != "" {
		return l.chain(ctx, c, from)
	}
	if err := s.Store.Scan(ctx, c.App.ID, from, l.take); err != nil {
		return Page{}, err
	}
	return l.page, nil
}

// lister gathers one page.
type lister struct {
	f       Filter
	test    bool
	service *Service
	page    Page
	seen    int
	last    id.ID
}

// take adds v if it passes, and reports whether to go on.
func (l *lister) take(v *Verification) bool {
	if len(l.page.Items) == l.f.Limit || l.seen == scanMax {
		l.page.Next = l.last
		return false
	}
	if v.Spec.Created.Before(l.f.After) {
		return false
	}
	l.seen++
	l.last = v.ID
	if v.Spec.Test == l.test && (l.f.Purpose == "" || v.Spec.Purpose == l.f.Purpose) &&
		(l.f.Status == "" || v.At(l.service.Now()) == l.f.Status) {
		l.page.Items = append(l.page.Items, v)
	}
	return true
}

// chain follows the verifications of one number, each of which names the one before it: no index is needed.
func (l *lister) chain(ctx context.Context, c application.Caller, from id.ID) (Page, error) {
	to, err := number(l.f.To, l.f.Region)
	if err != nil {
		return Page{}, err
	}
	n, err := l.service.Store.NumberRow(ctx, l.service.numberKey(c.App.ID, to))
	if err != nil || n == nil {
		return Page{}, err
	}
	for at := n.Head; !at.IsZero(); {
		v, err := l.service.Store.Find(ctx, at)
		if err != nil || v == nil {
			return l.page, err
		}
		if (from.IsZero() || v.ID.Seq() < from.Seq()) && !l.take(v) {
			break
		}
		at = v.Spec.Previous
	}
	return l.page, nil
}
