package gateway

import (
	"bytes"

	"github.com/pergola-mesh/pergola/config/static"
	"github.com/pergola-mesh/pergola/internal/urlpath"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// stack is what every request of an entry point goes through before its router, in this order:
//
//  1. the record learns the entry point: whatever happens from here on is counted and logged
//  2. the client's address: limits, rules and logs below all mean the same client
//  3. the path's one normal form, and the policy on encoded characters: rules, middlewares and
//     servers below all see the same path
//  4. the snapshot's routers, with the entry point's own middlewares first
type stack struct {
	forwarded *forwarded
	mode      urlpath.Mode
	encoded   urlpath.Encoded
	refused   func(rule string)
	semicolon bool   // encode semicolons in the query
	altSvc    string // where the same is to be had over HTTP/3; empty: nowhere, or it is this
	next      exchange.Handler
}

func newStack(e *static.EntryPoint, global *static.Global, scheme string, refused func(string), next exchange.Handler) (*stack, error) {
	f, err := newForwarded(e, global.NotAppendXForwardedFor, scheme)
	if err != nil {
		return nil, err
	}
	c := e.HTTP.EncodedCharacters
	s := &stack{forwarded: f, refused: refused, semicolon: e.HTTP.EncodeQuerySemicolons, next: next,
		encoded: urlpath.Encoded{Slash: c.AllowEncodedSlash, BackSlash: c.AllowEncodedBackSlash,
			NullCharacter: c.AllowEncodedNullCharacter, Semicolon: c.AllowEncodedSemicolon,
			Percent: c.AllowEncodedPercent, QuestionMark: c.AllowEncodedQuestionMark, Hash: c.AllowEncodedHash}}
	if !e.HTTP.SanitizePath {
		s.mode = urlpath.KeepSegments
	}
	return s, nil
}

// Handle is exchange.Handler.
func (s *stack) Handle(x *exchange.Exchange) error {
	s.forwarded.apply(x)
	if err := s.path(&x.Request); err != nil {
		return err
	}
	err := s.next.Handle(x)
	if err == nil && s.altSvc != "" {
		x.Response.Header.Set(altSvc, s.altSvc)
	}
	return err
}

// altSvc says where else an origin is to be had. What a server says of itself is not true of us.
// RFC 7838 §3.
var altSvc = exchange.NewName("Alt-Svc")

// path brings the path into its normal form, or refuses it.
func (s *stack) path(r *exchange.Request) error {
	path, err := urlpath.Normalize(nil, r.Path, s.mode)
	if err == nil && bytes.IndexByte(path, '%') >= 0 {
		err = s.encoded.Check(path)
	}
	if err != nil {
		if e, ok := err.(*urlpath.Error); ok {
			s.refused(e.Rule)
		}
		return exchange.BadRequest.With(err)
	}
	r.Path = path
	if s.semicolon && r.HasQuery {
		r.Query = encodeSemicolons(r)
	}
	return nil
}

func encodeSemicolons(r *exchange.Request) []byte {
	q := r.Query
	var parts [][]byte
	for i := 0; i < len(q); i++ {
		if q[i] == ';' {
			parts = append(parts, q[:i], []byte("%3B"))
			q, i = q[i+1:], -1
		}
	}
	if parts == nil {
		return q
	}
	return r.Join(append(parts, q)...)
}
