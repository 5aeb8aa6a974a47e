package errors_test

import (
	"errors"
	"strings"
	"testing"

	middleware "github.com/pergola-mesh/pergola/middlewares/errors"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

func build(t *testing.T, config middleware.Config, service exchange.Handler) exchange.Middleware {
	t.Helper()
	config.Service = "pages"
	m, err := middleware.New(config, func(name string) (exchange.Handler, error) {
		if name != "pages" {
			t.Errorf("service %q", name)
		}
		return service, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestPages(t *testing.T) {
	config := middleware.Config{
		Status: []string{"404", "500-599"}, StatusRewrites: map[string]int{"500-502": 503, "501": 500, "404": 410},
		Query: "{status}.html?was={originalStatus}&url={url}",
	}
	const query = "&url=%2Fp%252F%3Fa%3Db"
	for _, c := range []struct {
		name   string
		answer exchangetest.Backend
		page   string
		status int
		body   string
	}{
		{"fine", exchangetest.Backend{Text: "fine"}, "", 200, "fine"},
		{"not listed", exchangetest.Backend{Status: 403, Text: "no"}, "", 403, "no"},
		{"listed", exchangetest.Backend{Status: 504, Text: "error"}, "/504.html?was=504" + query, 504, "page"},
		{"rewritten", exchangetest.Backend{Status: 404, Text: "error"}, "/410.html?was=404" + query, 410, "page"},
		{"a range", exchangetest.Backend{Status: 502}, "/503.html?was=502" + query, 503, "page"},
		{"a code in a range", exchangetest.Backend{Status: 501}, "/500.html?was=501" + query, 500, "page"},
		{"an error", exchangetest.Backend{Err: exchange.UpstreamTimeout}, "/504.html?was=504" + query, 504, "page"},
		{"an error not listed", exchangetest.Backend{Err: exchange.Forbidden}, "", 403, "Forbidden\n"},
	} {
		pages := &exchangetest.Backend{Status: 201, Text: "page", Fields: []string{"X-Page: 1"}}
		x := exchangetest.Request("GET", "http://a.example/p%2F?a=b")
		r := exchangetest.Do(build(t, config, pages)(&c.answer), x)
		if r.Status != c.status || r.Body != c.body || pages.URI != c.page || r.Has("X-Page") != (c.page != "") {
			t.Errorf("%s: %d %q, page %q", c.name, r.Status, r.Body, pages.URI)
		}
		if c.page != "" && (pages.Host != "a.example" || pages.Method != "GET") {
			t.Errorf("%s: %s %s", c.name, pages.Method, pages.Host)
		}
	}
}

// scope is a service as the record knows it.
type scope string

func (s scope) Name() string             { return string(s) }
func (scope) Observe(*exchange.Exchange) {}

// The page is nobody's business but the error service's: request and record stay the client's.
func TestTheExchangeStaysTheClients(t *testing.T) {
	pages := exchange.HandlerFunc(func(x *exchange.Exchange) error {
		if x.Request.Body != nil || x.Request.Length != 0 || x.Request.Upgrade != nil || x.Request.Continue {
			t.Errorf("%+v", x.Request)
		}
		x.Record.Service, x.Record.UpstreamStatus, x.Record.Attempts = scope("pages"), 200, 9
		x.Respond(200, "text/html", []byte("page"))
		return nil
	})
	service := exchange.HandlerFunc(func(x *exchange.Exchange) error {
		x.Record.Service, x.Record.UpstreamStatus, x.Record.Attempts = scope("service"), 500, 1
		x.Respond(500, "text/plain", []byte("error"))
		return nil
	})
	x := exchangetest.Request("POST", "/p?q", "X-A: b", "Upgrade: websocket", "Expect: 100-continue", exchangetest.Pieces("body"))
	r := exchangetest.Do(build(t, middleware.Config{Status: []string{"500"}, Query: "/e"}, pages)(service), x)
	if r.Status != 500 || r.Body != "page" || r.Get("Content-Type") != "text/html" {
		t.Errorf("%d %q", r.Status, r.Body)
	}
	if q := &x.Request; q.Method != "POST" || string(q.Path) != "/p" || string(q.Query) != "q" || q.Body == nil || !q.Continue || exchangetest.Field(x, "X-A") != "b" {
		t.Errorf("%+v", q)
	}
	if x.Record.Service != scope("service") || x.Record.UpstreamStatus != 500 || x.Record.Attempts != 1 {
		t.Errorf("%+v", x.Record)
	}
}

func TestRequestFields(t *testing.T) {
	sent := []any{"Authorization: secret", "cookie: secret", "Proxy-Authorization: secret", "Accept-Language: de",
		"If-None-Match: x", "Range: bytes=0-1", "Content-Type: a/b", "X-A: b", []byte("body")}
	for want, names := range map[string][]string{
		"Accept-Language: de\r\nX-A: b\r\n": nil,
		"Cookie: secret\r\nX-A: b\r\n":      {"Cookie", "X-A", "X-None"},
		"Authorization: secret\r\n":         {"authorization"},
	} {
		pages := &exchangetest.Backend{Text: "page"}
		exchangetest.Do(build(t, middleware.Config{Status: []string{"500"}, ErrorRequestHeaders: names}, pages)(&exchangetest.Backend{Status: 500}), exchangetest.Request("POST", "/", sent...))
		if got := string(pages.Header.AppendTo(nil)); !strings.EqualFold(got, want) {
			t.Errorf("%q: %q, want %q", names, got, want)
		}
	}
}

func TestTheReplacedResponse(t *testing.T) {
	answer := &exchangetest.Backend{Status: 401, Pieces: []string{"error"}, Fields: []string{"WWW-Authenticate: Basic", "Set-Cookie: secret", "Retry-After: 5"}}
	pages := &exchangetest.Backend{Text: "page", Fields: []string{"Retry-After: 6"}}
	r := exchangetest.Do(build(t, middleware.Config{Status: []string{"401"}}, pages)(answer), exchangetest.Request("GET", "/"))
	if got := string(r.Header.AppendTo(nil)); got != "Retry-After: 6\r\nWWW-Authenticate: Basic\r\n" || answer.Last.Closed == 0 || pages.URI != "/" {
		t.Errorf("%s closed %d, %s", got, answer.Last.Closed, pages.URI)
	}
}

func TestNoPage(t *testing.T) {
	for name, pages := range map[string]exchange.Handler{
		"down": &exchangetest.Backend{Err: exchange.NoEndpoint},
		"switches": exchange.HandlerFunc(func(x *exchange.Exchange) error {
			x.Response.Status = 101
			return nil
		}),
	} {
		x := exchangetest.Request("GET", "/")
		r := exchangetest.Do(build(t, middleware.Config{Status: []string{"500"}, StatusRewrites: map[string]int{"500": 503}}, pages)(&exchangetest.Backend{Status: 500, Text: "inside"}), x)
		if r.Status != 503 || r.Body != "Service Unavailable\n" || x.Record.Error == nil {
			t.Errorf("%s: %d %q %v", name, r.Status, r.Body, x.Record.Error)
		}
	}
}

func TestClientFaultsAreTheCodecs(t *testing.T) {
	pages := &exchangetest.Backend{}
	m := build(t, middleware.Config{Status: []string{"400-599"}}, pages)
	for _, kind := range []exchange.Kind{exchange.BadRequest, exchange.ClientAbort, exchange.ClientTimeout} {
		if r := exchangetest.Do(m(&exchangetest.Backend{Err: kind}), exchangetest.Request("GET", "/")); !errors.Is(r.Err, kind) || pages.Calls > 0 {
			t.Errorf("%v: %v", kind, r.Err)
		}
	}
}

func TestBadConfigurations(t *testing.T) {
	for name, config := range map[string]middleware.Config{
		"service is empty":      {Status: []string{"500"}},
		"status is empty":       {Service: "s"},
		"status:":               {Service: "s", Status: []string{"x"}},
		"statusRewrites: \"x\"": {Service: "s", Status: []string{"500"}, StatusRewrites: map[string]int{"x": 500}},
		"statusRewrites: 500":   {Service: "s", Status: []string{"500"}, StatusRewrites: map[string]int{"500": 99}},
		"no service":            {Service: "missing", Status: []string{"500"}},
	} {
		_, err := middleware.New(config, func(string) (exchange.Handler, error) { return nil, errors.New("no service") })
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
