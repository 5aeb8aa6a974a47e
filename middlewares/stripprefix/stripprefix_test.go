package stripprefix_test

import (
	"errors"
	"testing"

	"github.com/pergola-mesh/pergola/middlewares/stripprefix"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

func TestStripPrefix(t *testing.T) {
	for _, c := range []struct {
		prefixes          []string
		target, want, xfp string
	}{
		{[]string{"/a"}, "/a/b?x=1", "/b?x=1", "/a"},
		{[]string{"/a"}, "/a", "/", "/a"},
		{[]string{"/a/"}, "/a/b", "/b", "/a/"},
		{[]string{"/a"}, "/ab", "/b", "/a"}, // a plain string prefix, as in PathPrefix
		{[]string{"/x", "/a", "/a/b"}, "/a/b", "/b", "/a"},
		{[]string{"/x"}, "/a", "/a", ""},
		{[]string{"/A"}, "/a", "/a", ""},
		{[]string{"/a"}, "/a/b%2Fc", "/b%2Fc", "/a"},
		{[]string{"/a b"}, "/a%20b/c", "/c", "/a b"},
		{nil, "/a", "/a", ""},
	} {
		m, err := stripprefix.New(stripprefix.Config{Prefixes: c.prefixes})
		if err != nil {
			t.Fatal(err)
		}
		backend := &exchangetest.Backend{}
		exchangetest.Do(m(backend), exchangetest.Request("GET", c.target))
		if backend.URI != c.want || backend.Get("X-Forwarded-Prefix") != c.xfp {
			t.Errorf("%q from %q: %q, X-Forwarded-Prefix %q", c.prefixes, c.target, backend.URI, backend.Get("X-Forwarded-Prefix"))
		}
	}
}

// A path that only becomes a climbing one by the cut must not reach the server.
func TestStripPrefixDoesNotMakeDots(t *testing.T) {
	m, _ := stripprefix.New(stripprefix.Config{Prefixes: []string{"/api"}})
	for _, target := range []string{"/api../admin", "/api./admin", "/api%2e%2e/admin"} {
		backend := &exchangetest.Backend{}
		r := exchangetest.Do(m(backend), exchangetest.Request("GET", target))
		if backend.Calls > 0 || r.Status != 400 || !errors.Is(r.Err, exchange.BadRequest) {
			t.Errorf("%s: status %d, server got %q", target, r.Status, backend.URI)
		}
	}
}

func TestAllocatesNothing(t *testing.T) {
	m, _ := stripprefix.New(stripprefix.Config{Prefixes: []string{"/x", "/api"}})
	exchangetest.AllocatesNothing(t, m, exchangetest.Request("GET", "/api/users/1"))
}

func BenchmarkStripPrefix(b *testing.B) {
	m, _ := stripprefix.New(stripprefix.Config{Prefixes: []string{"/x", "/api"}})
	exchangetest.Bench(b, m, exchangetest.Request("GET", "/api/users/1"))
}
