package channel

import (
	"log/slog"
	"net/http"
	"time"
)

// Provider is one way to reach carriers: a company's interface or a protocol. channel/all lists them.
type Provider struct {
	// Name is how a route's configuration names it: lower case, letters and digits.
	Name string
	// Title is how people write it.
	Title string
	// Summary is one sentence for the list of providers.
	Summary string
	// Docs is the public address of the provider's own documentation.
	Docs string
	// Channels are those that it can carry.
	Channels []Kind
	// DevOnly marks a provider that no production deployment wants; serve refuses it unless told otherwise.
	DevOnly bool
	// Config returns a pointer to a new, defaulted settings struct. Its fields have `yaml` and `doc` tags;
	// the settings page and the strict decoder read them. It implements Opener.
	Config func() Opener
}

// Opener is the decoded settings of one route.
type Opener interface {
	// Validate returns what is wrong with the settings, in words, naming the field.
	Validate() error
	// Open makes the sender. It makes no network call.
	Open(env Env) (Sender, error)
}

// Env is what a provider may use of its surroundings.
type Env struct {
	// Route is the name of the route that is opened.
	Route string
	// HTTP is the client for every call: it has time-outs and follows no redirect to another host.
	HTTP *http.Client
	Log  *slog.Logger
	Now  func() time.Time
	// DataDir is a folder that the provider may write to; empty when there is none.
	DataDir string
}
