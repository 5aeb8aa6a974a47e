// Package middlewares is the catalogue of the kinds of middleware this build has. Each kind is a
// folder: its configuration, code, tests and a README whose examples are run.
package middlewares

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/pergola-mesh/pergola/middlewares/addprefix"
	"github.com/pergola-mesh/pergola/middlewares/basicauth"
	"github.com/pergola-mesh/pergola/middlewares/buffering"
	"github.com/pergola-mesh/pergola/middlewares/chain"
	"github.com/pergola-mesh/pergola/middlewares/circuitbreaker"
	"github.com/pergola-mesh/pergola/middlewares/compress"
	"github.com/pergola-mesh/pergola/middlewares/contenttype"
	"github.com/pergola-mesh/pergola/middlewares/digestauth"
	"github.com/pergola-mesh/pergola/middlewares/encodedcharacters"
	errorpages "github.com/pergola-mesh/pergola/middlewares/errors"
	"github.com/pergola-mesh/pergola/middlewares/grpcweb"
	"github.com/pergola-mesh/pergola/middlewares/headers"
	"github.com/pergola-mesh/pergola/middlewares/inflightreq"
	"github.com/pergola-mesh/pergola/middlewares/ipallowlist"
	"github.com/pergola-mesh/pergola/middlewares/passtlsclientcert"
	"github.com/pergola-mesh/pergola/middlewares/redirectregex"
	"github.com/pergola-mesh/pergola/middlewares/redirectscheme"
	"github.com/pergola-mesh/pergola/middlewares/replacepath"
	"github.com/pergola-mesh/pergola/middlewares/replacepathregex"
	"github.com/pergola-mesh/pergola/middlewares/retry"
	"github.com/pergola-mesh/pergola/middlewares/stripprefix"
	"github.com/pergola-mesh/pergola/middlewares/stripprefixregex"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// catalogue lists every kind. Adding one is a folder and a line here.
var catalogue = []kind{
	add("addPrefix", addprefix.New),
	addWith("basicAuth", func(e Env, c basicauth.Config) (exchange.Middleware, error) { return basicauth.New(c, e.ReadFile) }),
	add("buffering", buffering.New),
	addWith("chain", func(e Env, c chain.Config) (exchange.Middleware, error) { return chain.New(c, e.Middleware) }),
	addWith("circuitBreaker", func(e Env, c circuitbreaker.Config) (exchange.Middleware, error) {
		return circuitbreaker.New(c, e.Logger)
	}),
	add("compress", compress.New),
	add("contentType", contenttype.New),
	addWith("digestAuth", func(e Env, c digestauth.Config) (exchange.Middleware, error) { return digestauth.New(c, e.ReadFile) }),
	add("encodedCharacters", encodedcharacters.New),
	addWith("errors", func(e Env, c errorpages.Config) (exchange.Middleware, error) { return errorpages.New(c, e.Service) }),
	add("grpcWeb", grpcweb.New),
	add("headers", headers.New),
	add("inFlightReq", inflightreq.New),
	add("ipAllowList", ipallowlist.New),
	addWith("ipWhiteList", func(e Env, c ipallowlist.Config) (exchange.Middleware, error) {
		e.Logger.Warn("ipWhiteList is the old name of ipAllowList: use that one")
		return ipallowlist.New(c)
	}),
	add("passTLSClientCert", passtlsclientcert.New),
	add("redirectRegex", redirectregex.New),
	add("redirectScheme", redirectscheme.New),
	add("replacePath", replacepath.New),
	add("replacePathRegex", replacepathregex.New),
	add("retry", retry.New),
	add("stripPrefix", stripprefix.New),
	add("stripPrefixRegex", stripprefixregex.New),
}

// notBuilt are Traefik's kinds that this build does not have.
var notBuilt = strings.Fields("forwardAuth plugin rateLimit")

// Env is what middlewares are built with.
type Env struct {
	Logger *slog.Logger
	// Decode fills target, a pointer to a kind's Config, from the configuration as it was written.
	Decode func(raw map[string]any, target any) error
	// Service and Middleware find another object by the name it has in the configuration. Whoever
	// provides Middleware makes sure that middlewares do not name each other in a circle.
	Service    func(name string) (exchange.Handler, error)
	Middleware func(name string) (exchange.Middleware, error)
	// ReadFile reads a file that a configuration names.
	ReadFile func(path string) ([]byte, error)
}

type kind struct {
	name  string
	build func(Env, map[string]any) (exchange.Middleware, error)
}

// add makes an entry for a kind that needs nothing but its configuration.
func add[C any](name string, build func(C) (exchange.Middleware, error)) kind {
	return addWith(name, func(_ Env, config C) (exchange.Middleware, error) { return build(config) })
}

// addWith makes an entry for a kind that needs something of the Env.
func addWith[C any](name string, build func(Env, C) (exchange.Middleware, error)) kind {
	return kind{name, func(env Env, raw map[string]any) (exchange.Middleware, error) {
		var config C
		if err := env.Decode(raw, &config); err != nil {
			return nil, err
		}
		return build(env, config)
	}}
}

// New builds a middleware. Kinds compare without regard to case.
func New(env Env, name string, config map[string]any) (exchange.Middleware, error) {
	for _, k := range catalogue {
		if strings.EqualFold(k.name, name) {
			m, err := k.build(env, config)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", k.name, err)
			}
			return m, nil
		}
	}
	return nil, unknown(name)
}

// Kinds lists the kinds that New can build, by name in order.
func Kinds() []string {
	names := make([]string, len(catalogue))
	for i, k := range catalogue {
		names[i] = k.name
	}
	return names
}

func unknown(name string) error { return unknownOf(name, "headers", Kinds(), notBuilt) }

// unknownOf is about a kind that is not among those there are; such is one of them.
func unknownOf(name, such string, kinds, notBuilt []string) error {
	if name == "" {
		return fmt.Errorf("the middleware has no kind: give it one, such as %s", such)
	}
	best, distance := "", len(name)/2+1
	for _, known := range slices.Concat(kinds, notBuilt) {
		if d := edits(strings.ToLower(name), strings.ToLower(known)); d < distance {
			best, distance = known, d
		}
	}
	switch {
	case best != "" && distance == 0:
		return fmt.Errorf("middleware kind %s is not in this build yet", best)
	case best != "":
		return fmt.Errorf("unknown middleware kind %q: did you mean %s?", name, best)
	}
	return fmt.Errorf("unknown middleware kind %q: there are %s", name, strings.Join(kinds, ", "))
}

// edits is the number of letters to insert, delete or replace to get from a to b.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost++
			}
			diagonal, row[j] = row[j], min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
