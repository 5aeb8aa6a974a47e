// Package redirectregex is the redirectRegex middleware: it sends clients whose URL matches a
// regular expression to another URL made from it.
package redirectregex

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"

	"github.com/pergola-mesh/pergola/middlewares/internal/redirect"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// Config is the middleware's configuration.
type Config struct {
	// Regex is matched against the whole URL: scheme, host, path and query.
	Regex string `json:"regex,omitempty"`
	// Replacement replaces every match; $1 or ${name} stand for groups.
	Replacement string `json:"replacement,omitempty"`
	// Permanent answers 301 or 308 instead of 302 or 307.
	Permanent bool `json:"permanent,omitempty"`
}

// New makes the middleware.
func New(config Config) (exchange.Middleware, error) {
	if config.Regex == "" {
		return nil, errors.New("regex is empty: it would match every URL")
	}
	re, err := regexp.Compile(config.Regex)
	if err != nil {
		return nil, fmt.Errorf("regex: %w", err)
	}
	return func(next exchange.Handler) exchange.Handler {
		return &handler{re, []byte(config.Replacement), config.Permanent, next}
	}, nil
}

type handler struct {
	regex       *regexp.Regexp
	replacement []byte
	permanent   bool
	next        exchange.Handler
}

// Handle redirects when the expression matches and makes a different URL.
func (h *handler) Handle(x *exchange.Exchange) error {
	r := &x.Request
	old := redirect.URL(r, redirect.Scheme(r), r.Host)
	if !h.regex.Match(old) {
		return h.next.Handle(x)
	}
	location := h.regex.ReplaceAll(old, h.replacement)
	if string(location) == string(old) {
		return h.next.Handle(x)
	}
	parsed, err := url.Parse(string(location))
	if err != nil {
		return exchange.BadRequest.Withf("redirectRegex: %w", err)
	}
	redirect.Answer(x, []byte(parsed.String()), h.permanent)
	return nil
}
