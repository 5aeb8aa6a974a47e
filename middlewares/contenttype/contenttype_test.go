package contenttype_test

import (
	"errors"
	"testing"

	"github.com/pergola-mesh/pergola/middlewares/contenttype"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

func build(t *testing.T, config contenttype.Config) exchange.Middleware {
	t.Helper()
	m, err := contenttype.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestDetection(t *testing.T) {
	const html = "text/html; charset=utf-8"
	for _, c := range []struct {
		name, method string
		answer       exchangetest.Backend
		want         string
	}{
		{"html", "GET", exchangetest.Backend{Text: "<html>"}, html},
		{"in pieces", "GET", exchangetest.Backend{Pieces: []string{"<html>", "<body>", "x"}}, html},
		{"binary", "GET", exchangetest.Backend{Text: "\x89PNG\x0d\x0a\x1a\x0a"}, "image/png"},
		{"given", "GET", exchangetest.Backend{Text: "<html>", Fields: []string{"Content-Type: text/x"}}, "text/x"},
		{"encoded", "GET", exchangetest.Backend{Text: "<html>", Fields: []string{"Content-Encoding: gzip"}}, ""},
		{"HEAD", "HEAD", exchangetest.Backend{Text: "<html>"}, ""},
		{"no body", "GET", exchangetest.Backend{}, ""},
		{"not modified", "GET", exchangetest.Backend{Status: 304}, ""},
	} {
		r := exchangetest.Do(build(t, contenttype.Config{})(&c.answer), exchangetest.Request(c.method, "/"))
		body := c.answer.Text
		for _, piece := range c.answer.Pieces {
			body += piece
		}
		if r.Get("Content-Type") != c.want || r.Body != body || r.Cut != nil {
			t.Errorf("%s: %q, body %q, cut %v", c.name, r.Get("Content-Type"), r.Body, r.Cut)
		}
		if c.answer.Last != nil && c.answer.Last.Closed != 1 {
			t.Errorf("%s: closed %d times", c.name, c.answer.Last.Closed)
		}
	}
}

func TestSwitchedOff(t *testing.T) {
	r := exchangetest.Do(build(t, contenttype.Config{AutoDetect: new(false)})(&exchangetest.Backend{Text: "<html>"}), exchangetest.Request("GET", "/"))
	if r.Has("Content-Type") {
		t.Errorf("%q", r.Get("Content-Type"))
	}
}

// respond answers with a body of unknown length.
func respond(body exchange.Body) exchange.Handler {
	return exchange.HandlerFunc(func(x *exchange.Exchange) error {
		x.Response.Status, x.Response.Body, x.Response.Length = 200, body, -1
		return nil
	})
}

func TestBodiesThatEndOrBreak(t *testing.T) {
	m := build(t, contenttype.Config{})
	if r := exchangetest.Do(m(respond(&exchangetest.Body{})), exchangetest.Request("GET", "/")); r.Status != 200 || r.Body != "" || r.Cut != nil || r.Has("Content-Type") {
		t.Errorf("an empty body: %d %q %v", r.Status, r.Body, r.Cut)
	}
	broken := &exchangetest.Body{Err: exchange.UpstreamReset}
	if r := exchangetest.Do(m(respond(broken)), exchangetest.Request("GET", "/")); r.Status != 502 || !errors.Is(r.Err, exchange.UpstreamReset) || broken.Closed == 0 {
		t.Errorf("a body that breaks at once: %d %v, closed %d", r.Status, r.Err, broken.Closed)
	}
	late := &exchangetest.Body{Pieces: []string{"<html>"}, Err: exchange.UpstreamReset}
	if r := exchangetest.Do(m(respond(late)), exchangetest.Request("GET", "/")); r.Body != "<html>" || !errors.Is(r.Cut, exchange.UpstreamReset) {
		t.Errorf("a body that breaks later: %q %v", r.Body, r.Cut)
	}
}

func TestAllocatesNothing(t *testing.T) {
	exchangetest.AllocatesNothing(t, build(t, contenttype.Config{}), exchangetest.Request("GET", "/"))
}
