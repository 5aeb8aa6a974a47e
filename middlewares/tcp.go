package middlewares

import (
	"fmt"
	"strings"

	"github.com/pergola-mesh/pergola/middlewares/tcp/inflightconn"
	"github.com/pergola-mesh/pergola/middlewares/tcp/ipallowlist"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// gates lists every kind of TCP. Adding one is a folder and a line here.
var gates = []gateKind{
	addGate("inFlightConn", func(_ Env, c inflightconn.Config) (exchange.Gate, error) { return inflightconn.New(c) }),
	addGate("ipAllowList", func(_ Env, c ipallowlist.Config) (exchange.Gate, error) { return ipallowlist.New(c) }),
	addGate("ipWhiteList", func(e Env, c ipallowlist.Config) (exchange.Gate, error) {
		e.Logger.Warn("ipWhiteList is the old name of ipAllowList: use that one")
		return ipallowlist.New(c)
	}),
}

type gateKind struct {
	name  string
	build func(Env, map[string]any) (exchange.Gate, error)
}

func addGate[C any](name string, build func(Env, C) (exchange.Gate, error)) gateKind {
	return gateKind{name, func(env Env, raw map[string]any) (exchange.Gate, error) {
		var config C
		if err := env.Decode(raw, &config); err != nil {
			return nil, err
		}
		return build(env, config)
	}}
}

// NewTCP builds a middleware of TCP. Kinds compare without regard to case. Of env it needs Logger
// and Decode.
func NewTCP(env Env, name string, config map[string]any) (exchange.Gate, error) {
	for _, k := range gates {
		if strings.EqualFold(k.name, name) {
			g, err := k.build(env, config)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", k.name, err)
			}
			return g, nil
		}
	}
	return nil, unknownOf(name, "ipAllowList", KindsTCP(), nil)
}

// KindsTCP lists the kinds that NewTCP can build, by name in order.
func KindsTCP() []string {
	names := make([]string, len(gates))
	for i, k := range gates {
		names[i] = k.name
	}
	return names
}
