package app

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/dialproof/dialproof/internal/application"
	"github.com/dialproof/dialproof/internal/channel"
	"github.com/dialproof/dialproof/internal/deliver"
	"github.com/dialproof/dialproof/internal/message"
	"github.com/dialproof/dialproof/internal/verify"
)

// maxMisfits bounds what doctor says of one route.
const maxMisfits = 20

// lint compares what the applications would send over a route with the texts that are registered for it, for each
// purpose with a text of its own and each language that is usual in the country or named by the application.
func lint(r *deliver.Route, apps []application.Application) (checked int, err error) {
	var misfits []string
	for _, country := range registeredCountries(r) {
		for _, a := range apps {
			for _, request := range requests(a, country) {
				text, err := message.Render(request)
				if err != nil {
					continue // it is refused at the start, and says so there
				}
				checked++
				if !r.Fits(channel.SMS, country, text.Body) {
					misfits = append(misfits,
						fmt.Sprintf("%s, application %s, %s in %s: %q", country, a.Name, request.Purpose, text.Locale, text.Body))
				}
			}
		}
	}
	if len(misfits) == 0 {
		return checked, nil
	}
	more := ""
	if n := len(misfits) - maxMisfits; n > 0 {
		misfits, more = misfits[:maxMisfits], fmt.Sprintf("\n       and %d more", n)
	}
	return checked, fmt.Errorf(
		"these texts fit none of the registered ones and would be refused. Register them, or give the application the "+
			"registered text as its template\n       %s%s", strings.Join(misfits, "\n       "), more)
}

// registeredCountries returns the countries of a route's registered texts; the route's own where a text is for all of
// them.
func registeredCountries(r *deliver.Route) []string {
	found := map[string]bool{}
	for _, g := range r.Registered {
		countries := g.Countries
		if len(countries) == 0 {
			countries = r.Countries
		}
		for _, c := range countries {
			found[c] = len(r.Countries) == 0 || slices.Contains(r.Countries, c)
		}
	}
	maps.DeleteFunc(found, func(_ string, served bool) bool { return !served })
	return slices.Sorted(maps.Keys(found))
}

// requests returns the messages of an application to a country that doctor can foresee.
func requests(a application.Application, country string) (out []message.Request) {
	policy := a.Policy.Filled()
	purposes := []string{verify.Registration, verify.Login, verify.PasswordReset, verify.PurposeMoney,
		verify.ProfileChange}
	for _, p := range slices.Sorted(maps.Keys(policy.Templates)) {
		if !slices.Contains(purposes, p) {
			purposes = append(purposes, p)
		}
	}
	for _, p := range purposes {
		locales := map[string]bool{message.Match(policy.Locale, country): true}
		for l := range policy.Templates[p] {
			locales[l] = true
		}
		for _, l := range slices.Sorted(maps.Keys(locales)) {
			r := message.Request{
				Purpose:   p,
				Locale:    l,
				Country:   country,
				Brand:     a.Brand,
				Code:      message.NewCode(strings.Repeat("8", policy.CodeLength)),
				ExpiresIn: time.Duration(policy.ExpiresIn) * time.Second,
				Templates: policy.Templates,
			}
			if p == verify.PurposeMoney {
				r.Transaction = &message.Transaction{Amount: "39.90", Currency: "EUR", Payee: "Acme Ltd"}
			}
			out = append(out, r)
		}
	}
	return out
}
