// Package errors is the errors middleware: it answers with a page of another service in place of a
// response whose status says that something went wrong.
package errors

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/pergola-mesh/pergola/internal/urlpath"
	"github.com/pergola-mesh/pergola/middlewares/internal/statuses"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// Config is the middleware's configuration.
type Config struct {
	// Status lists the statuses that get a page, such as "404" or "500-599".
	Status []string `json:"status,omitempty"`
	// StatusRewrites says which statuses, or ranges, the client is told as which other.
	StatusRewrites map[string]int `json:"statusRewrites,omitempty"`
	// Service is the name of the service that has the pages.
	Service string `json:"service,omitempty"`
	// Query is the path, and maybe query, of the page. {status}, {originalStatus} and {url} stand for
	// the status told, the one that came, and the escaped path and query of the request.
	Query string `json:"query,omitempty"`
	// ErrorRequestHeaders are the request fields that Service gets; empty is all but credentials.
	ErrorRequestHeaders []string `json:"errorRequestHeaders,omitempty"`
}

// New makes the middleware. Service returns the service of a name.
func New(config Config, service func(name string) (exchange.Handler, error)) (exchange.Middleware, error) {
	if config.Service == "" {
		return nil, errors.New("service is empty: name the service that has the pages")
	}
	if len(config.Status) == 0 {
		return nil, errors.New("status is empty: list the statuses that get a page, such as 500-599")
	}
	p := &pages{query: "/" + strings.TrimPrefix(config.Query, "/")}
	var err error
	if p.caught, err = statuses.Parse(config.Status); err != nil {
		return nil, fmt.Errorf("status: %w", err)
	}
	if p.rewrites, err = parseRewrites(config.StatusRewrites); err != nil {
		return nil, fmt.Errorf("statusRewrites: %w", err)
	}
	for _, name := range config.ErrorRequestHeaders {
		p.forwarded = append(p.forwarded, exchange.NewName(name))
	}
	if p.service, err = service(config.Service); err != nil {
		return nil, err
	}
	return func(next exchange.Handler) exchange.Handler { return &handler{p, next} }, nil
}

type rewrite struct {
	from statuses.Set
	to   int
}

// parseRewrites orders codes before ranges, so that a code in a range is what counts.
func parseRewrites(config map[string]int) ([]rewrite, error) {
	keys := slices.SortedFunc(maps.Keys(config), func(a, b string) int {
		if d := strings.Count(a, "-") - strings.Count(b, "-"); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	var rewrites []rewrite
	for _, key := range keys {
		from, err := statuses.Parse([]string{key})
		if err != nil {
			return nil, err
		}
		to := config[key]
		if to < 200 || to > 599 {
			return nil, fmt.Errorf("%s: %d is not a status a request can be answered with", key, to)
		}
		rewrites = append(rewrites, rewrite{from, to})
	}
	return rewrites, nil
}

// pages is what all routers that use the middleware share.
type pages struct {
	caught    statuses.Set
	rewrites  []rewrite
	query     string
	forwarded []exchange.Name // nil for all but credentials
	service   exchange.Handler
}

type handler struct {
	*pages
	next exchange.Handler
}

// Handle replaces next's answer by a page when its status is one of those. What the client itself
// broke is left to the codec. A call of gRPC has no use for a page.
func (h *handler) Handle(x *exchange.Exchange) error {
	if kind, _ := exchange.CallOf(&x.Request.Header); kind != exchange.NoCall {
		return h.next.Handle(x)
	}
	err := h.next.Handle(x)
	status := x.Response.Status
	if err != nil {
		switch kind := exchange.KindOf(err); kind {
		case exchange.BadRequest, exchange.HeaderTooLarge, exchange.ClientTimeout, exchange.ClientAbort:
			return err
		default:
			status = kind.Status()
		}
	}
	if !h.caught.Contains(status) {
		return err
	}
	if err != nil {
		exchange.Rescue(x, err)
	}
	h.answer(x, status)
	return nil
}

func (p *pages) told(status int) int {
	for _, r := range p.rewrites {
		if r.from.Contains(status) {
			return r.to
		}
	}
	return status
}

// kept are the fields of the replaced response that its status means nothing without.
// RFC 9110 §11.6.1, §11.7.1, §10.2.3, §10.2.1.
var kept = []exchange.Name{
	exchange.NewName("WWW-Authenticate"), exchange.ProxyAuthenticate, exchange.NewName("Retry-After"), exchange.NewName("Allow"),
}

// answer makes the page the response; a plain one with the same status where there is no page.
func (p *pages) answer(x *exchange.Exchange, original int) {
	status := p.told(original)
	var old exchange.Header
	old.CopyFrom(&x.Response.Header)
	x.ResetResponse()
	if err := p.fetch(x, status, original); err != nil {
		if x.Record.Error == nil {
			x.Record.Error = fmt.Errorf("error page: %w", err)
		}
		x.Respond(status, "text/plain; charset=utf-8", append(exchange.StatusText(status), '\n'))
	}
	x.Response.Status = status
	for _, name := range kept {
		if !x.Response.Header.Has(name) {
			for value := range old.Values(name) {
				x.Response.Header.AddBytes(name, value)
			}
		}
	}
}

// fetch has the service answer a request for the page. The exchange's own request and record are
// what they were afterwards: the client did not ask for the page, and neither do logs and metrics
// count it.
func (p *pages) fetch(x *exchange.Exchange, status, original int) error {
	request, record := x.Request, x.Record
	defer func() { x.Request, x.Record = request, record }()
	r := &x.Request
	r.Method, r.Header, r.Body, r.Length, r.Upgrade, r.Continue = "GET", exchange.Header{}, nil, 0, nil, false
	path, query, hasQuery := strings.Cut(p.page(&request, status, original), "?")
	r.Path = urlpath.Rewrite(nil, urlpath.Sanitize, []byte(path))
	r.Query, r.HasQuery = []byte(query), hasQuery
	p.copyHeader(&r.Header, &request.Header)
	if err := p.service.Handle(x); err != nil {
		return err
	}
	if x.Response.Tunnel != nil || x.Response.Status < 200 {
		x.ResetResponse()
		return errors.New("the service answered with a switch of protocols")
	}
	return nil
}

func (p *pages) page(r *exchange.Request, status, original int) string {
	uri := string(r.Path)
	if r.HasQuery {
		uri += "?" + string(r.Query)
	}
	return strings.NewReplacer(
		"{status}", strconv.Itoa(status),
		"{originalStatus}", strconv.Itoa(original),
		"{url}", url.QueryEscape(uri),
	).Replace(p.query)
}

// withheld are credentials, which the service of the pages has no business with, and what speaks of
// the body or the version of the resource that was asked for.
var withheld = strings.Fields("Authorization Proxy-Authorization Cookie " +
	"Content-Type Content-Encoding Content-Language Content-Location Content-Range " +
	"If-Match If-None-Match If-Modified-Since If-Unmodified-Since If-Range Range")

func (p *pages) copyHeader(to, from *exchange.Header) {
	if p.forwarded != nil {
		for _, name := range p.forwarded {
			for value := range from.Values(name) {
				to.AddBytes(name, value)
			}
		}
		return
	}
	to.CopyFrom(from)
	to.DelFunc(func(name, _ []byte) bool {
		return slices.ContainsFunc(withheld, func(w string) bool { return exchange.EqualFold(name, w) })
	})
}
