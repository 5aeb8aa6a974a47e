package exchangetest_test

import (
	"errors"
	"testing"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

func TestRequest(t *testing.T) {
	x := exchangetest.Request("POST", "https://a.example:8443/p%2fq?x=1", "Accept:  text/html",
		"Upgrade: websocket", []byte("body"), func(x *exchange.Exchange) { x.Record.User = "u" })
	r := &x.Request
	if string(r.Host) != "a.example:8443" || string(r.Path) != "/p%2fq" || string(r.Query) != "x=1" ||
		!r.HasQuery || r.Scheme != "https" || x.Conn.TLS == nil || r.Length != 4 || x.Record.User != "u" {
		t.Errorf("%+v", r)
	}
	if got := exchangetest.Field(x, "accept"); got != "text/html" || string(r.Upgrade) != "websocket" || r.Header.Len() != 1 {
		t.Errorf("accept %q, upgrade %q", got, r.Upgrade)
	}
	if x := exchangetest.Request("GET", "/?"); string(x.Request.Host) != "example.com" || !x.Request.HasQuery {
		t.Errorf("%+v", x.Request)
	}
}

func TestDo(t *testing.T) {
	backend := &exchangetest.Backend{Status: 201, Fields: []string{"Server: s"}, Pieces: []string{"one", "two"}}
	r := exchangetest.Do(backend, exchangetest.Request("PUT", "/a?b", "X-One: 1", exchangetest.Pieces("up", "load")))
	if r.Status != 201 || r.Body != "onetwo" || len(r.Pieces) != 2 || r.Get("server") != "s" || backend.Last.Closed != 1 {
		t.Errorf("%+v", r)
	}
	if backend.Method != "PUT" || backend.URI != "/a?b" || backend.Received != "upload" || backend.Get("x-one") != "1" {
		t.Errorf("%+v", backend)
	}
	backend.Err = exchange.Forbidden.With(errors.New("why"))
	if r := exchangetest.Do(backend, exchangetest.Request("GET", "/")); r.Status != 403 || !errors.Is(r.Err, exchange.Forbidden) {
		t.Errorf("%+v", r)
	}
}

func TestBodyScribblesOverWhatIsKept(t *testing.T) {
	b := exchangetest.Pieces("one", "two")
	p, _ := b.Next()
	b.Next()
	if string(p) != "!!!" {
		t.Errorf("%q", p)
	}
}
