// Package encodedcharacters is the encodedCharacters middleware: it refuses paths with percent-encoded
// characters that careless servers read more into than a character.
package encodedcharacters

import (
	"github.com/pergola-mesh/pergola/internal/urlpath"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// Config is the middleware's configuration: which encoded characters a path may have.
type Config struct {
	AllowEncodedSlash         bool `json:"allowEncodedSlash,omitempty"`
	AllowEncodedBackSlash     bool `json:"allowEncodedBackSlash,omitempty"`
	AllowEncodedNullCharacter bool `json:"allowEncodedNullCharacter,omitempty"`
	AllowEncodedSemicolon     bool `json:"allowEncodedSemicolon,omitempty"`
	AllowEncodedPercent       bool `json:"allowEncodedPercent,omitempty"`
	AllowEncodedQuestionMark  bool `json:"allowEncodedQuestionMark,omitempty"`
	AllowEncodedHash          bool `json:"allowEncodedHash,omitempty"`
}

// New makes the middleware.
func New(c Config) (exchange.Middleware, error) {
	allowed := urlpath.Encoded{
		Slash: c.AllowEncodedSlash, BackSlash: c.AllowEncodedBackSlash, NullCharacter: c.AllowEncodedNullCharacter,
		Semicolon: c.AllowEncodedSemicolon, Percent: c.AllowEncodedPercent, QuestionMark: c.AllowEncodedQuestionMark,
		Hash: c.AllowEncodedHash,
	}
	return func(next exchange.Handler) exchange.Handler { return &handler{allowed, next} }, nil
}

type handler struct {
	allowed urlpath.Encoded
	next    exchange.Handler
}

// Handle refuses a path with an encoded character that is not allowed.
func (h *handler) Handle(x *exchange.Exchange) error {
	if err := h.allowed.Check(x.Request.Path); err != nil {
		return exchange.BadRequest.With(err)
	}
	return h.next.Handle(x)
}
