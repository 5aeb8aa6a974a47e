// Package stripprefixregex is the stripPrefixRegex middleware: it cuts what a regular expression
// matches at the beginning of the request's path and tells the server in X-Forwarded-Prefix.
package stripprefixregex

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/pergola-mesh/pergola/middlewares/internal/pathedit"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// Config is the middleware's configuration.
type Config struct {
	// Regex are tried in order; the first that matches at the path's beginning is cut off.
	Regex []string `json:"regex,omitempty"`
}

// New makes the middleware.
func New(config Config) (exchange.Middleware, error) {
	expressions := make([]*regexp.Regexp, len(config.Regex))
	for i, text := range config.Regex {
		re, err := regexp.Compile(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("regex[%d]: %w", i, err)
		}
		expressions[i] = re
	}
	return func(next exchange.Handler) exchange.Handler { return &handler{expressions, next} }, nil
}

type handler struct {
	expressions []*regexp.Regexp
	next        exchange.Handler
}

// Handle cuts the first match off.
func (h *handler) Handle(x *exchange.Exchange) error {
	for _, re := range h.expressions {
		at := re.FindIndex(x.Request.Path)
		if at == nil || at[0] != 0 || at[1] == 0 {
			continue
		}
		cut := x.Request.Path[:at[1]]
		if err := pathedit.Cut(&x.Request, at[1]); err != nil {
			return err
		}
		x.Request.Header.AddBytes(exchange.XForwardedPrefix, cut)
		break
	}
	return h.next.Handle(x)
}
