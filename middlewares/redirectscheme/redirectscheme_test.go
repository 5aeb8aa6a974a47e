package redirectscheme_test

import (
	"testing"

	"github.com/pergola-mesh/pergola/middlewares/redirectscheme"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

func TestRedirectScheme(t *testing.T) {
	https := redirectscheme.Config{Scheme: "https"}
	for _, c := range []struct {
		name           string
		config         redirectscheme.Config
		method, target string
		status         int
		location       string
	}{
		{"to https", https, "GET", "http://a.example/p?q=1", 302, "https://a.example/p?q=1"},
		{"permanent", redirectscheme.Config{Scheme: "https", Permanent: true}, "GET", "http://a.example/", 301, "https://a.example/"},
		{"post", https, "POST", "http://a.example/", 307, "https://a.example/"},
		{"permanent post", redirectscheme.Config{Scheme: "https", Permanent: true}, "PUT", "http://a.example/", 308, "https://a.example/"},
		{"already there", https, "GET", "https://a.example/p", 200, ""},
		{"already there with the default port", https, "GET", "https://a.example:443/p", 200, ""},
		{"old port goes", https, "GET", "http://a.example:8080/p", 302, "https://a.example/p"},
		{"other port", https, "GET", "https://a.example:8443/p", 302, "https://a.example/p"},
		{"new port", redirectscheme.Config{Scheme: "https", Port: "8443"}, "GET", "http://a.example/p", 302, "https://a.example:8443/p"},
		{"new port, there", redirectscheme.Config{Scheme: "https", Port: "8443"}, "GET", "https://a.example:8443/p", 200, ""},
		{"default port is left out", redirectscheme.Config{Scheme: "https", Port: "443"}, "GET", "http://a.example/p", 302, "https://a.example/p"},
		{"to http", redirectscheme.Config{Scheme: "http", Port: "80"}, "GET", "https://a.example/p", 302, "http://a.example/p"},
		{"ipv6", https, "GET", "http://[::1]:8080/p?", 302, "https://[::1]/p?"},
		{"upper case", redirectscheme.Config{Scheme: "HTTPS"}, "GET", "https://a.example/p", 200, ""},
		{"encoded", https, "GET", "http://a.example/a%0d%0aX:%20y", 302, "https://a.example/a%0d%0aX:%20y"},
	} {
		m, err := redirectscheme.New(c.config)
		if err != nil {
			t.Fatal(err)
		}
		backend := &exchangetest.Backend{}
		r := exchangetest.Do(m(backend), exchangetest.Request(c.method, c.target))
		if r.Status != c.status || r.Get("Location") != c.location || (backend.Calls == 1) != (c.status == 200) {
			t.Errorf("%s: %d %q, %d calls", c.name, r.Status, r.Get("Location"), backend.Calls)
		}
	}
	for _, config := range []redirectscheme.Config{{}, {Scheme: "https://"}, {Scheme: "https", Port: "x"}, {Scheme: "https", Port: "70000"}} {
		if _, err := redirectscheme.New(config); err == nil {
			t.Errorf("%+v is taken", config)
		}
	}
}

func TestAllocatesNothing(t *testing.T) {
	m, _ := redirectscheme.New(redirectscheme.Config{Scheme: "https", Port: "8443"})
	exchangetest.AllocatesNothing(t, m, exchangetest.Request("GET", "http://a.example/users/1?x"))
}

func BenchmarkRedirectScheme(b *testing.B) {
	m, _ := redirectscheme.New(redirectscheme.Config{Scheme: "https"})
	exchangetest.Bench(b, m, exchangetest.Request("GET", "http://a.example/users/1?x"))
}
