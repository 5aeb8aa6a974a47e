package addprefix_test

import (
	"testing"

	"github.com/pergola-mesh/pergola/middlewares/addprefix"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

func TestAddPrefix(t *testing.T) {
	for _, c := range []struct{ prefix, target, want string }{
		{"/a", "/b", "/a/b"},
		{"/a", "/", "/a/"},
		{"a", "/b?x=1", "/a/b?x=1"},
		{"/a/", "/b", "/a/b"},
		{"/a b", "/c%2Fd", "/a%20b/c%2Fd"},
	} {
		m, err := addprefix.New(addprefix.Config{Prefix: c.prefix})
		if err != nil {
			t.Fatal(err)
		}
		backend := &exchangetest.Backend{}
		exchangetest.Do(m(backend), exchangetest.Request("GET", c.target))
		if backend.URI != c.want {
			t.Errorf("%q + %q: %q, want %q", c.prefix, c.target, backend.URI, c.want)
		}
	}
	if _, err := addprefix.New(addprefix.Config{}); err == nil {
		t.Error("an empty prefix is taken")
	}
}

func TestAllocatesNothing(t *testing.T) {
	m, _ := addprefix.New(addprefix.Config{Prefix: "/api"})
	exchangetest.AllocatesNothing(t, m, exchangetest.Request("GET", "/users/1"))
}

func BenchmarkAddPrefix(b *testing.B) {
	m, _ := addprefix.New(addprefix.Config{Prefix: "/api"})
	exchangetest.Bench(b, m, exchangetest.Request("GET", "/users/1"))
}
