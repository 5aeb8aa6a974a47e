// Package compress is the compress middleware: it compresses responses for clients that accept it.
package compress

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// Config is the middleware's configuration.
type Config struct {
	// ExcludedContentTypes are not compressed. IncludedContentTypes are the only ones that are. At
	// most one of the two may be set; without, all are but those compressed already.
	ExcludedContentTypes []string `json:"excludedContentTypes,omitempty"`
	IncludedContentTypes []string `json:"includedContentTypes,omitempty"`
	// MinResponseBodyBytes is the size from which a body is compressed; 1024 when 0.
	MinResponseBodyBytes int64 `json:"minResponseBodyBytes,omitempty"`
	// Encodings are the codings to use, the preferred one first: of gzip, br and zstd.
	Encodings []string `json:"encodings,omitempty"`
	// DefaultEncoding is used for clients that do not say what they accept, or accept anything.
	DefaultEncoding string `json:"defaultEncoding,omitempty"`
}

// SetDefaults takes all codings.
func (c *Config) SetDefaults() { c.Encodings = []string{"gzip", "br", "zstd"} }

// defaultMinSize in bytes: less hardly gets smaller.
const defaultMinSize = 1024

// New makes the middleware.
func New(config Config) (exchange.Middleware, error) {
	if len(config.ExcludedContentTypes) > 0 && len(config.IncludedContentTypes) > 0 {
		return nil, errors.New("excludedContentTypes and includedContentTypes exclude each other: set one of them")
	}
	if config.MinResponseBodyBytes < 0 {
		return nil, fmt.Errorf("minResponseBodyBytes %d is negative", config.MinResponseBodyBytes)
	}
	p := &policy{minSize: config.MinResponseBodyBytes}
	if p.minSize == 0 {
		p.minSize = defaultMinSize
	}
	if len(config.Encodings) == 0 {
		return nil, errors.New("encodings is empty: list at least one of gzip, br and zstd")
	}
	for _, name := range config.Encodings {
		c, ok := codings[name]
		if !ok {
			return nil, fmt.Errorf("encodings: %q is none of gzip, br and zstd", name)
		}
		p.codings = append(p.codings, c)
	}
	if config.DefaultEncoding != "" {
		i := slices.Index(config.Encodings, config.DefaultEncoding)
		if i < 0 {
			return nil, fmt.Errorf("defaultEncoding %q is not one of the encodings", config.DefaultEncoding)
		}
		p.standard = p.codings[i]
	}
	var err error
	if p.excluded, err = parseTypes(config.ExcludedContentTypes); err != nil {
		return nil, fmt.Errorf("excludedContentTypes: %w", err)
	}
	if p.included, err = parseTypes(config.IncludedContentTypes); err != nil {
		return nil, fmt.Errorf("includedContentTypes: %w", err)
	}
	return func(next exchange.Handler) exchange.Handler { return &handler{p, next} }, nil
}

// policy is what all routers that use the middleware share.
type policy struct {
	codings            []*coding
	standard           *coding // nil for none
	minSize            int64
	excluded, included types
}

type handler struct {
	*policy
	next exchange.Handler
}

var (
	acceptRanges = exchange.NewName("Accept-Ranges")
	contentRange = exchange.NewName("Content-Range")
	// digests are of the content as it was. RFC 9530.
	digests = []exchange.Name{
		exchange.NewName("Content-Digest"), exchange.NewName("Repr-Digest"), exchange.NewName("Digest"), exchange.NewName("Content-Md5"),
	}
)

// Handle compresses next's response when the client, the content and the size are right for it.
func (h *handler) Handle(x *exchange.Exchange) error {
	method, gRPC := x.Request.Method, isGRPC(x.Request.Header.Get(exchange.ContentType))
	if err := h.next.Handle(x); err != nil || method == "HEAD" || gRPC {
		return err
	}
	r := &x.Response
	if r.Status == 304 {
		confirm(x)
		return nil
	}
	if !h.suits(r) {
		return nil
	}
	vary(&r.Header)
	if c := h.negotiate(&x.Request.Header); c != nil {
		c.encode(x)
	}
	return nil
}

// vary says that the response was chosen by what the client accepts.
func vary(h *exchange.Header) {
	if !h.Contains(exchange.Vary, "Accept-Encoding") && !h.Contains(exchange.Vary, "*") {
		h.Add(exchange.Vary, "Accept-Encoding")
	}
}

// confirm makes a 304 speak of what the client has, if that was compressed here: under a weak tag, which a
// cache does not find by the server's strong one. RFC 9110 §15.4.5, RFC 9111 §4.3.4.
func confirm(x *exchange.Exchange) {
	h := &x.Response.Header
	tag := h.Get(exchange.ETag)
	if len(tag) == 0 || isWeak(tag) {
		return
	}
	compressed := false
	for value := range x.Request.Header.Values(exchange.IfNoneMatch) {
		for item := range exchange.List(value) {
			if bytes.Equal(item, tag) {
				return // that is what it has, too
			}
			compressed = compressed || isWeak(item) && bytes.Equal(item[len(weak):], tag)
		}
	}
	if compressed {
		vary(h)
		weaken(h, tag)
	}
}

// weak is how a tag begins of content that is only equivalent. RFC 9110 §8.8.3.
const weak = "W/"

func isWeak(tag []byte) bool { return bytes.HasPrefix(tag, []byte(weak)) }

// weaken replaces a strong tag: the content is no longer that of the server, byte by byte.
func weaken(h *exchange.Header, tag []byte) { h.SetBytes(exchange.ETag, append([]byte(weak), tag...)) }

// suits reports whether a response gets smaller by compression, and may be. RFC 9110 §7.7, §14.4,
// RFC 9111 §5.2.2.6.
func (p *policy) suits(r *exchange.Response) bool {
	switch {
	case r.Body == nil, r.Tunnel != nil, r.Status < 200, r.Status == 204, r.Status == 206, r.Status == 304:
		return false
	case r.Header.Has(exchange.ContentEncoding), r.Header.Has(contentRange), r.Header.Contains(exchange.CacheControl, "no-transform"):
		return false
	}
	size := r.Length
	if size < 0 {
		if b, whole := exchange.WholeOf(r.Body); whole {
			size = int64(len(b))
		}
	}
	if size >= 0 && size < p.minSize {
		return false
	}
	contentType := r.Header.Get(exchange.ContentType)
	switch {
	case isGRPC(contentType):
		return false
	case p.included != nil:
		return p.included.contain(contentType)
	case p.excluded != nil:
		return !p.excluded.contain(contentType)
	}
	return !isCompressed(contentType)
}

// encode makes the response's body a compressed one.
func (c *coding) encode(x *exchange.Exchange) {
	r := &x.Response
	encoder := c.pool.Get().(*encoder)
	b := &body{from: r.Body, coding: c, encoder: encoder, left: r.Length, eager: r.Length < 0}
	if whole, ok := exchange.WholeOf(r.Body); ok {
		if !b.encodeWhole(whole) {
			b.giveBack()
			return
		}
		r.Length = int64(len(encoder.out))
	} else {
		r.Length = -1
	}
	r.Body = b
	h := &r.Header
	h.Set(exchange.ContentEncoding, c.name)
	h.Del(acceptRanges)
	for _, name := range digests {
		h.Del(name)
	}
	if tag := h.Get(exchange.ETag); len(tag) > 0 && !isWeak(tag) {
		weaken(h, tag) // RFC 9110 §8.8.3.3
	}
}
