package verify_test

import (
	"slices"
	"testing"
	"time"

	"github.com/dialproof/dialproof/internal/id"
	"github.com/dialproof/dialproof/internal/verify"
)

// TestGet: one verification as it is.
func TestGet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v := w.start(t, verify.StartRequest{To: drama(100)})
	got, err := w.Get(t.Context(), w.live, v.ID)
	if err != nil || got.ID != v.ID || got.Status != verify.Pending {
		t.Errorf("%+v, %v", got, err)
	}
	_, err = w.Get(t.Context(), w.live, id.ID{1})
	want(t, "an unknown one", outcome(err), "not_found")
}

// TestList: lists are newest first, and each filter and page size gives the same rows.
func TestList(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.unlimited()
	var all []*verify.Verification
	for i := range 25 {
		v := w.start(t, verify.StartRequest{To: drama(100 + i%5), Purpose: []string{"login", "registration"}[i%2]})
		all = append(all, v)
		if i%3 == 0 {
			w.check(t, v, w.code(t, v))
		}
		if _, err := w.Start(t.Context(), w.test, verify.StartRequest{To: drama(200 + i)}); err != nil {
			t.Fatal(err)
		}
		w.advance(16 * time.Minute)
	}
	chosen := func(keep func(i int) bool) (out []id.ID) {
		for i, v := range slices.Backward(all) {
			if keep(i) {
				out = append(out, v.ID)
			}
		}
		return out
	}
	at := func(i int) time.Time { return epoch.Add(time.Duration(i) * 16 * time.Minute) }
	for name, c := range map[string]struct {
		f    verify.Filter
		want []id.ID
	}{
		"all":            {verify.Filter{}, chosen(func(int) bool { return true })},
		"number":         {verify.Filter{To: drama(103)}, chosen(func(i int) bool { return i%5 == 3 })},
		"national":       {verify.Filter{To: "07700 900103", Region: "GB"}, chosen(func(i int) bool { return i%5 == 3 })},
		"unknown number": {verify.Filter{To: drama(300)}, nil},
		"purpose":        {verify.Filter{Purpose: "registration"}, chosen(func(i int) bool { return i%2 == 1 })},
		"approved":       {verify.Filter{Status: verify.Approved}, chosen(func(i int) bool { return i%3 == 0 })},
		"expired":        {verify.Filter{Status: verify.Expired}, chosen(func(i int) bool { return i%3 != 0 })},
		"pending":        {verify.Filter{Status: verify.Pending}, nil},
		"time":           {verify.Filter{After: at(5), Before: at(9)}, chosen(func(i int) bool { return i >= 5 && i < 9 })},
		"number, time": {verify.Filter{To: drama(103), After: at(4), Before: at(19)},
			chosen(func(i int) bool { return i%5 == 3 && i >= 4 && i < 19 })},
		"both": {verify.Filter{Purpose: "login", Status: verify.Approved}, chosen(func(i int) bool { return i%6 == 0 })},
	} {
		for _, size := range []int{1, 3, 7, 100} {
			c.f.Limit, c.f.Cursor = size, id.ID{}
			var got []id.ID
			for pages := 0; ; pages++ {
				page, err := w.List(t.Context(), w.live, c.f)
				if err != nil || len(page.Items) > size || pages > 30 {
					t.Fatalf("%s: %d rows, %v", name, len(page.Items), err)
				}
				for _, v := range page.Items {
					got = append(got, v.ID)
				}
				if page.Next.IsZero() {
					break
				}
				c.f.Cursor = page.Next
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%s by %d: %d rows, want %d", name, size, len(got), len(c.want))
			}
		}
	}
	for _, f := range []verify.Filter{{}, {Limit: -1}, {Limit: verify.MaxPage + 1}} {
		_, err := w.List(t.Context(), w.live, f)
		want(t, "limit", outcome(err), "invalid_request limit out_of_range")
	}
	_, err := w.List(t.Context(), w.live, verify.Filter{Limit: 1, To: "x"})
	want(t, "no number", outcome(err), "invalid_request to invalid_number")
}
