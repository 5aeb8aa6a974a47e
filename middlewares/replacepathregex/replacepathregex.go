// Package replacepathregex is the replacePathRegex middleware: it rewrites the request's path by a
// regular expression and tells the server the old one in X-Replaced-Path.
package replacepathregex

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/pergola-mesh/pergola/middlewares/internal/pathedit"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// Config is the middleware's configuration.
type Config struct {
	// Regex is matched against the path as it is sent, percent-encoded.
	Regex string `json:"regex,omitempty"`
	// Replacement replaces every match; $1 or ${name} stand for groups.
	Replacement string `json:"replacement,omitempty"`
}

var replacedPath = exchange.NewName("X-Replaced-Path")

// New makes the middleware.
func New(config Config) (exchange.Middleware, error) {
	if config.Regex == "" {
		return nil, errors.New("regex is empty: it would match every path")
	}
	re, err := regexp.Compile(strings.TrimSpace(config.Regex))
	if err != nil {
		return nil, fmt.Errorf("regex: %w", err)
	}
	replacement := strings.TrimSpace(config.Replacement)
	if replacement == "" {
		return nil, errors.New("replacement is empty: set it, or use stripPrefixRegex to cut a part of the path")
	}
	return func(next exchange.Handler) exchange.Handler {
		return &handler{re, []byte(replacement), next}
	}, nil
}

type handler struct {
	regex       *regexp.Regexp
	replacement []byte
	next        exchange.Handler
}

// Handle rewrites the path when the expression matches.
func (h *handler) Handle(x *exchange.Exchange) error {
	if old := x.Request.Path; h.regex.Match(old) {
		if err := pathedit.Set(&x.Request, h.regex.ReplaceAll(old, h.replacement)); err != nil {
			return err
		}
		x.Request.Header.SetBytes(replacedPath, old)
	}
	return h.next.Handle(x)
}
