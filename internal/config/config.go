// Package config is the deployment's file: one commented struct tree, a strict Load, the defaults.
//
// The comments on the fields of Config are the reference page docs/configuration.md, word for word. It is not a
// place for tenants: applications, API keys and templates live in the database. It opens nothing and knows no
// provider: the settings of a route stay as they stand in the file, until the provider reads them.
package config

import (
	"net/netip"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/dialproof/dialproof/internal/secret"
)

//go:generate go test -run ^TestReferencePage$ . -update

// Config is the whole file. Every key that holds one value can also come from the environment, which wins
// over the file: `log.level` is `DIALPROOF_LOG_LEVEL`. Keys that the program does not know are refused.
type Config struct {
	// The address to listen on, as host:port. Put a proxy that speaks TLS in front of anything but loopback.
	Listen string `yaml:"listen"`
	// The address under which providers and people reach this deployment, for example `https://verify.example.com`.
	// Providers send their receipts there. Without it there are no receipts over HTTP and no hosted page links.
	PublicURL string `yaml:"public_url"`
	// The proxies whose header `X-Forwarded-For` is believed, as addresses or networks (`10.0.0.0/8`). On the hosted page
	// the person's address is limited (`limits.client_hour`): behind a proxy that is not named here, everybody has the
	// proxy's. At most 64.
	TrustedProxies []string `yaml:"trusted_proxies"`
	// How long a server that is told to stop still takes requests while `/readyz` answers 503, so that a load balancer
	// looks elsewhere first, 0s to 5m. It is not waited for when nobody has asked `/readyz` in the last half minute.
	Drain time.Duration `yaml:"drain"`
	// The folder for everything that the program writes. It is made when it does not exist.
	Data string `yaml:"data"`
	// Where verifications, jobs and tenants are kept.
	Store Store `yaml:"store"`
	// The key ring. The first key makes what is new; the others still read what they made. To rotate, put a new
	// key first and keep the old ones until nothing made with them is left (`retention.days`). The last one
	// hashes numbers for look-up, so leave it where it is. Make one with `openssl rand -base64 32`.
	Keys []Key `yaml:"keys"`
	// The ways out. Without one nothing can be sent. The database knows nothing of them.
	Routes []Route `yaml:"routes"`
	// How to choose among the routes that serve a number.
	Routing Routing `yaml:"routing"`
	// How much is too much, for the whole deployment.
	Limits Limits `yaml:"limits"`
	// What is logged. A log never holds a code or a whole number.
	Log Log `yaml:"log"`
	// Prometheus metrics.
	Metrics Metrics `yaml:"metrics"`
	// OpenTelemetry traces, sent by OTLP over HTTP.
	Tracing Tracing `yaml:"tracing"`
	// How long personal data is kept.
	Retention Retention `yaml:"retention"`
	// The work that waits to be sent.
	Queue Queue `yaml:"queue"`
	// Events that are sent to applications. docs/webhooks.md says how.
	Webhooks Webhooks `yaml:"webhooks"`
	// Allow routes of the provider `handset`, the phone in the browser. Whoever reaches the server reads its
	// messages, codes and all: for trying things out only.
	AllowHandset bool `yaml:"allow_handset"`
}

// Store says where rows are kept.
type Store struct {
	// The database: `sqlite` (in this process) or `postgres`.
	Driver string `yaml:"driver"`
	// The SQLite file. Empty means `dialproof.db` in the data folder.
	Path string `yaml:"path"`
	// The PostgreSQL connection string, for example `postgres://dialproof@db/dialproof?sslmode=verify-full`. It is a
	// secret. Several hosts (`db1,db2`) are tried in turn for the one that writes.
	DSN secret.Text `yaml:"dsn"`
	// The most connections of this process to PostgreSQL, 4 to 1000. Its lanes take one each; the others read.
	Connections int `yaml:"connections"`
	// How many transactions this process commits at once on PostgreSQL, at most, 1 to 16. Each carries up to 256 requests;
	// another begins only when one takes longer than 10 ms.
	Lanes int `yaml:"lanes"`
	// How long PostgreSQL may take for one statement, 1s to 60s. What takes longer is answered with 503.
	Timeout time.Duration `yaml:"timeout"`
	// The connection string leads to a pooler in transaction mode, like PgBouncer: nothing is left on its connections.
	Pooler bool `yaml:"pooler"`
	// With a pooler: a connection string of PostgreSQL itself, on which nodes hear of changed applications and keys at
	// once. Without it they look every half second.
	ListenDSN secret.Text `yaml:"listen_dsn"`
}

// The drivers of a Store.
const (
	SQLite   = "sqlite"
	Postgres = "postgres"
)

// Key is one key of the ring.
type Key struct {
	// The name of the key in every row that it made, 1 to 255. Never give an old id to a new secret.
	ID int `yaml:"id"`
	// At least 32 random bytes, as base64 or hexadecimal. Who has them can make codes and read numbers.
	Secret secret.Text `yaml:"secret"`
}

// Route is one way out: a provider with an account, and which numbers it serves.
type Route struct {
	// What you call it: lower-case letters, digits and hyphens, at most 32. It stands in logs and metrics.
	Name string `yaml:"name"`
	// The provider that carries it; docs/providers lists them.
	Provider string `yaml:"provider"`
	// The channels that it carries: `sms`, `voice`, `whatsapp`, `telegram`, `email`. Empty means all that the provider
	// can.
	Channels []string `yaml:"channels"`
	// The countries that it serves, as two letters (ISO 3166). Empty means all.
	Countries []string `yaml:"countries"`
	// The beginnings of the numbers that it serves, like `+4477`. Empty means all.
	Prefixes []string `yaml:"prefixes"`
	// The sender ID: a number, a short code, or up to 11 letters and digits. Empty means the provider's default.
	Sender string `yaml:"sender"`
	// Sender IDs for single countries, before `sender`.
	Senders map[string]string `yaml:"senders"`
	// The order in which routes are tried: the lowest first.
	Priority int `yaml:"priority"`
	// Which of the routes of one priority goes first: the highest.
	Weight int `yaml:"weight"`
	// How many messages a second it may carry; 0 means no limit. What comes faster takes the next route; where there is
	// none, it waits for its turn.
	Rate float64 `yaml:"rate"`
	// How many calls to the provider may be under way at once, 1 to 10000. More messages take the next route; where there
	// is none, they wait for their turn.
	Concurrency int `yaml:"concurrency"`
	// How long one call to the provider may take, 1s to 60s.
	Timeout time.Duration `yaml:"timeout"`
	// What one message costs, by country (`"*"` for all others), as a decimal number in the one currency in
	// which you keep your books: `GB: "0.035"`.
	Price map[string]string `yaml:"price"`
	// Keep the route but do not use it.
	Quiet bool `yaml:"quiet"`
	// The route reaches nobody: API keys in test mode use it, and live ones never do.
	Test bool `yaml:"test"`
	// What countries ask for, by the provider's own names: `dlt_entity_id` for India, `campaign_id` for the US.
	Regulatory map[string]string `yaml:"regulatory"`
	// The texts that a registry has approved for SMS over this route (India's DLT, a 10DLC campaign). Where there are some
	// for a number's country, what fits none of them is not sent over the route; `dialproof doctor` says what would not
	// fit. At most 256.
	Registered []Registered `yaml:"registered"`
	// The provider's own settings, as its page in docs/providers says.
	Settings yaml.Node `yaml:"settings"`
}

// Registered is one approved text.
type Registered struct {
	// The registry's id of it. A message that fits goes out with it as `dlt_template_id`, in place of the route's own.
	TemplateID string `yaml:"template_id"`
	// The countries for which it is registered, as two letters (ISO 3166). Empty means all.
	Countries []string `yaml:"countries"`
	// The text to the letter, with `{#var#}` for each 1 to 30 characters that change.
	Text string `yaml:"text"`
}

// Routing says how to choose. Routes that fail or fall silent always come after those that are well.
type Routing struct {
	// What decides: `priority` (the lowest, then the highest weight), `cheapest` (by the price lists), or `converting`
	// (the route whose codes get typed, learned per route and prefix, with the price where they are equal).
	Policy string `yaml:"policy"`
}

// Limits are the deployment's velocity limits. 0 turns a limit off; `number_gaps: []` turns the gaps off.
type Limits struct {
	// The least time between two messages to one number: after the first, the second, and so on. The last repeats.
	NumberGaps []time.Duration `yaml:"number_gaps"`
	// How many messages one number may get in an hour, up to 100.
	NumberHour int `yaml:"number_hour"`
	// How many messages one number may get in a day, up to 100.
	NumberDay int `yaml:"number_day"`
	// How many wrong codes one number may have in a day.
	WrongDay int `yaml:"wrong_day"`
	// How many wrong codes in a row, without one right code, lock a number for a day.
	WrongStreak int `yaml:"wrong_streak"`
	// How many messages one client address (an IPv4 address, an IPv6 /64) may cause in an hour.
	ClientHour int `yaml:"client_hour"`
	// How many messages one client address may cause in a day.
	ClientDay int `yaml:"client_day"`
}

// Log says what is logged.
type Log struct {
	// `json` for machines, one object a line, or `human`.
	Format string `yaml:"format"`
	// The least level that is logged: `debug`, `info`, `warn` or `error`.
	Level string `yaml:"level"`
}

// Metrics says where they are served.
type Metrics struct {
	// A separate address (host:port) for `/metrics`. Empty means beside the API, to keys with the scope `admin`.
	Listen string `yaml:"listen"`
}

// Tracing says where traces go.
type Tracing struct {
	// The OTLP endpoint, for example `http://127.0.0.1:4318`. Empty means no tracing at all.
	Endpoint string `yaml:"endpoint"`
	// The share of requests that is traced, 0 to 1.
	Sample float64 `yaml:"sample"`
}

// Retention says how long personal data is kept.
type Retention struct {
	// After so many days a verification keeps country and prefix of its number and nothing else of the person, 1 to 3650.
	// Its metadata goes as well.
	Days int `yaml:"days"`
}

// Queue bounds the work that waits.
type Queue struct {
	// How many jobs may wait. At more, the API answers 503 before it takes the work. 100 to 10000000.
	MaxOpen int `yaml:"max_open"`
	// How many jobs this process runs at once, 1 to 10000.
	Workers int `yaml:"workers"`
}

// Webhooks says how events are sent to applications.
type Webhooks struct {
	// Let endpoints have addresses that are not on the public internet, and plain http with those. Whoever may make
	// endpoints can then make this machine call whatever it can reach in its own network.
	AllowPrivate bool `yaml:"allow_private"`
	// How many calls to endpoints may be under way at once, 1 to 10000. One endpoint gets at most 8.
	Workers int `yaml:"workers"`
}

// Proxies returns TrustedProxies; those that are no addresses, which Validate refuses, are left out.
func (c Config) Proxies() []netip.Prefix {
	var out []netip.Prefix
	for _, text := range c.TrustedProxies {
		if p, err := proxy(text); err == nil {
			out = append(out, p)
		}
	}
	return out
}

// proxy reads an address or a network.
func proxy(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		return a.Unmap().Prefix(a.Unmap().BitLen())
	}
	p, err := netip.ParsePrefix(text)
	return p.Masked(), err
}

// Default returns what holds where the file says nothing.
func Default() Config {
	return Config{
		Listen:    "127.0.0.1:8080",
		Data:      "data",
		Drain:     5 * time.Second,
		Store:     Store{Driver: SQLite, Connections: 16, Lanes: 3, Timeout: 5 * time.Second},
		Routing:   Routing{Policy: "priority"},
		Limits:    defaultLimits(),
		Log:       Log{Format: "json", Level: "info"},
		Tracing:   Tracing{Sample: 0.01},
		Retention: Retention{Days: 30},
		Queue:     Queue{MaxOpen: 100_000, Workers: 256},
		Webhooks:  Webhooks{Workers: 128},
	}
}

// defaultLimits follow the published ones of NIST SP 800-63B-4 §3.2.2 for wrong codes, and what an SMS costs for
// the rest.
func defaultLimits() Limits {
	return Limits{
		NumberGaps: []time.Duration{30 * time.Second, 60 * time.Second, 120 * time.Second, 300 * time.Second},
		NumberHour: 5, NumberDay: 10, WrongDay: 15, WrongStreak: 100, ClientHour: 10, ClientDay: 30,
	}
}

// The defaults of a route. They hold where it says nothing, or 0.
const (
	DefaultConcurrency = 64
	DefaultTimeout     = 10 * time.Second
)
