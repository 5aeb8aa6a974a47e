package redirectregex_test

import (
	"testing"

	"github.com/pergola-mesh/pergola/middlewares/redirectregex"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

func TestRedirectRegex(t *testing.T) {
	www := redirectregex.Config{Regex: `^https?://www\.(.*)`, Replacement: "https://$1"}
	for _, c := range []struct {
		name           string
		config         redirectregex.Config
		method, target string
		status         int
		location       string
	}{
		{"www", www, "GET", "http://www.a.example/p?q=1", 302, "https://a.example/p?q=1"},
		{"www, permanent", redirectregex.Config{Regex: www.Regex, Replacement: www.Replacement, Permanent: true}, "GET", "https://www.a.example/", 301, "https://a.example/"},
		{"post", www, "POST", "http://www.a.example/", 307, "https://a.example/"},
		{"no match", www, "GET", "http://a.example/", 200, ""},
		{"port is part of the host", redirectregex.Config{Regex: `:8080/`, Replacement: "/"}, "GET", "http://a.example:8080/p", 302, "http://a.example/p"},
		{"same URL", redirectregex.Config{Regex: `^(http://a.*)$`, Replacement: "$1"}, "GET", "http://a.example/p", 200, ""},
		{"named groups", redirectregex.Config{Regex: `^http://(?P<host>[^/]+)/(?P<rest>.*)$`, Replacement: "https://${host}:8443/${rest}"}, "GET", "http://a.example/p?x", 302, "https://a.example:8443/p?x"},
		{"to nowhere", redirectregex.Config{Regex: `^http://a.example/(.*)$`, Replacement: "http://[$1"}, "GET", "http://a.example/p", 400, ""},
		{"no injection", redirectregex.Config{Regex: `^(.*)$`, Replacement: "$1\r\nX-Evil: 1"}, "GET", "http://a.example/p", 400, ""},
	} {
		m, err := redirectregex.New(c.config)
		if err != nil {
			t.Fatal(err)
		}
		backend := &exchangetest.Backend{}
		r := exchangetest.Do(m(backend), exchangetest.Request(c.method, c.target))
		if r.Status != c.status || r.Get("Location") != c.location || (backend.Calls == 1) != (c.status == 200) {
			t.Errorf("%s: %d %q, %d calls", c.name, r.Status, r.Get("Location"), backend.Calls)
		}
	}
	for _, config := range []redirectregex.Config{{}, {Regex: "("}} {
		if _, err := redirectregex.New(config); err == nil {
			t.Errorf("%+v is taken", config)
		}
	}
}

// A URL that does not match costs no allocation.
func TestAllocatesNothing(t *testing.T) {
	m, _ := redirectregex.New(redirectregex.Config{Regex: `^https?://www\.(.*)`, Replacement: "https://$1"})
	exchangetest.AllocatesNothing(t, m, exchangetest.Request("GET", "http://a.example/users/1?x"))
}

func BenchmarkRedirectRegex(b *testing.B) {
	m, _ := redirectregex.New(redirectregex.Config{Regex: `^https?://www\.(.*)`, Replacement: "https://$1"})
	exchangetest.Bench(b, m, exchangetest.Request("GET", "http://a.example/users/1?x"))
}
