// Package grpcweb is the grpcWeb middleware: it lets browsers, which can neither read trailers nor send
// HTTP/2 frames of their own, call gRPC services.
// https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md
package grpcweb

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/pergola-mesh/pergola/middlewares/internal/cors"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// Config is the middleware's configuration.
type Config struct {
	// AllowOrigins are the origins whose pages may read the answers; "*" stands for all.
	AllowOrigins []string `json:"allowOrigins,omitempty"`
}

// New makes the middleware.
func New(config Config) (exchange.Middleware, error) {
	for i, origin := range config.AllowOrigins {
		if origin != "*" && !strings.Contains(origin, "://") {
			return nil, fmt.Errorf("allowOrigins[%d]: %q is not an origin such as https://example.com, nor *", i, origin)
		}
	}
	return func(next exchange.Handler) exchange.Handler { return &handler{config.AllowOrigins, next} }, nil
}

type handler struct {
	origins []string
	next    exchange.Handler
}

var te = exchange.NewName("Te")

// Handle translates gRPC-Web. Other requests pass as they are.
func (h *handler) Handle(x *exchange.Exchange) error {
	r := &x.Request
	if isPreflight(r) {
		h.preflight(x)
		return nil
	}
	kind, suffix := exchange.CallOf(&r.Header)
	if kind < exchange.GRPCWeb || r.Method != "POST" {
		return h.next.Handle(x)
	}
	asked := r.Header.Get(exchange.ContentType)
	r.Header.SetBytes(exchange.ContentType, r.Join([]byte(exchange.GRPC.Type()), suffix))
	r.Header.Set(te, "trailers")
	if kind == exchange.GRPCWebText {
		if r.Body != nil {
			r.Body, r.Length = &decoder{from: r.Body}, -1
		}
	}
	if err := h.next.Handle(x); err != nil {
		exchange.Rescue(x, err) // as gRPC, which is translated: a page could read nothing else
	}
	translate(x, kind)
	h.allow(x)
	r.Header.SetBytes(exchange.ContentType, asked) // as the client is counted and, if the body breaks off, answered
	return nil
}

// translate turns a gRPC response into one of kind. One of another type, such as an error page, is left
// alone.
func translate(x *exchange.Exchange, kind exchange.CallKind) {
	p := &x.Response
	native, suffix := exchange.CallOf(&p.Header)
	if native != exchange.GRPC {
		return
	}
	p.Header.SetBytes(exchange.ContentType, append([]byte(kind.Type()), suffix...))
	if p.Header.Has(exchange.GRPCStatus) && p.Body == nil {
		return // the status is all there is, and where a page can read it
	}
	if p.Body == nil {
		p.Body = exchange.NewBytes(nil)
	}
	p.Body, p.Length = &encoder{from: p.Body, x: x, text: kind == exchange.GRPCWebText}, -1
}

// isPreflight reports whether a browser asks whether it may call a gRPC service.
func isPreflight(r *exchange.Request) bool {
	return r.Method == "OPTIONS" && string(r.Header.Get(cors.RequestMethod)) == "POST" &&
		r.Header.Has(exchange.Origin) && r.Header.Contains(cors.RequestHeaders, "x-grpc-web")
}

// preflight answers such a question. https://fetch.spec.whatwg.org/#http-cors-protocol
func (h *handler) preflight(x *exchange.Exchange) {
	x.Respond(204, "", nil)
	if p := &x.Response.Header; h.allow(x) {
		p.Set(cors.AllowMethods, "POST")
		p.SetBytes(cors.AllowHeaders, bytes.Join(lists(&x.Request.Header, cors.RequestHeaders), []byte(", ")))
		p.Set(cors.MaxAge, "600")
	}
}

// lists are the members of all fields called n.
func lists(h *exchange.Header, n exchange.Name) (all [][]byte) {
	for v := range h.Values(n) {
		for item := range exchange.List(v) {
			all = append(all, item)
		}
	}
	return all
}

// allow lets pages of the request's origin read the response, if they may.
func (h *handler) allow(x *exchange.Exchange) bool {
	origin, p := x.Request.Header.Get(exchange.Origin), &x.Response.Header
	if len(origin) == 0 {
		return false
	}
	if !p.Contains(exchange.Vary, "Origin") {
		p.Add(exchange.Vary, "Origin")
	}
	for _, allowed := range h.origins {
		if allowed != "*" && allowed != string(origin) {
			continue
		}
		p.SetBytes(cors.AllowOrigin, origin)
		p.Set(cors.AllowCredentials, "true")
		p.Set(cors.ExposeHeaders, "grpc-status, grpc-message")
		return true
	}
	return false
}
