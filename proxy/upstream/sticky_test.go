package upstream

import (
	"strings"
	"testing"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

func TestSticky(t *testing.T) {
	b := newBench(t)
	c := LoadBalancer{Servers: servers("a", "b", "c"), Sticky: &Cookie{Name: "lb"}}
	s := b.balancer("web@file", c)
	first := exchangetest.Do(s, exchangetest.Request("GET", "/"))
	cookie := first.Get("Set-Cookie")
	if strings.Contains(cookie, "//") || !strings.HasPrefix(cookie, "lb=") || !strings.HasSuffix(cookie, "; Path=/") {
		t.Errorf("cookie %q", cookie)
	}
	pair, _, _ := strings.Cut(cookie, ";")
	follow := func(s Service, cookies ...any) *exchangetest.Result {
		var last string
		x := exchangetest.Request("GET", "/", cookies...)
		for v := range x.Request.Header.Values(exchange.Cookie) {
			last = string(v)
		}
		r := exchangetest.Do(s, x)
		if got := exchangetest.Field(x, "Cookie"); len(cookies) == 1 && got != last {
			t.Errorf("the server got cookie %q, not %q", got, last)
		}
		return r
	}
	for _, cookies := range [][]any{
		{"Cookie: " + pair}, {"Cookie: a=b; " + pair + "; c=d"}, {"Cookie: a=b;" + pair}, {"Cookie: a=b", "Cookie: " + pair},
		{"Cookie: lb=stale; " + pair}, {`Cookie: lb="` + strings.TrimPrefix(pair, "lb=") + `"`},
	} {
		for range 4 {
			if r := follow(s, cookies...); r.Body != first.Body || r.Has("Set-Cookie") {
				t.Errorf("%v: %s after %s, Set-Cookie %q", cookies, r.Body, first.Body, r.Get("Set-Cookie"))
			}
		}
	}
	for _, other := range []string{"Cookie: xlb=" + strings.TrimPrefix(pair, "lb="), "Cookie: lb=unknown", "Cookie: ;;=;lb", "Cookie: LB=" + pair} {
		if r := follow(s, other); !r.Has("Set-Cookie") {
			t.Errorf("%s: no new cookie", other)
		}
	}
	// The cookie is the same after a reload that moves the server to another place.
	c.Servers = servers("z", "c", "b", "a")
	after := b.balancer("web@file", c)
	s.Close()
	if r := follow(after, "Cookie: "+pair); r.Body != first.Body {
		t.Errorf("%s after %s and a reload", r.Body, first.Body)
	}
}

func TestStickyFallsBack(t *testing.T) {
	b := newBench(t)
	s := b.balancer("web@file", LoadBalancer{Servers: servers("a", "b"), Sticky: &Cookie{Name: "lb"}})
	first := exchangetest.Do(s, exchangetest.Request("GET", "/"))
	pair, _, _ := strings.Cut(first.Get("Set-Cookie"), ";")
	stuck := b.pools.server(first.Body)
	stuck.set(refuse)
	for n := range 6 { // by a retry at first, then because it is ejected
		r := exchangetest.Do(s, exchangetest.Request("GET", "/", "Cookie: "+pair))
		if r.Status != 200 || r.Body == first.Body || len(r.Values("Set-Cookie")) != 1 {
			t.Errorf("request %d: %d %s, Set-Cookie %q", n, r.Status, r.Body, r.Values("Set-Cookie"))
		}
	}
	if n := stuck.count(); n != 1+3 {
		t.Errorf("the server that is ejected was tried %d times", n-1)
	}
	b.pools.server("http://a").set(refuse)
	b.pools.server("http://b").set(refuse)
	if r := exchangetest.Do(s, exchangetest.Request("GET", "/")); r.Status != 502 || r.Has("Set-Cookie") {
		t.Errorf("%d, Set-Cookie %q", r.Status, r.Get("Set-Cookie"))
	}
}

// A server that is fenced, or has no weight, keeps the clients it has.
func TestStickyReachesTheFenced(t *testing.T) {
	b := newBench(t)
	c := LoadBalancer{Servers: servers("a", "b"), Sticky: &Cookie{Name: "lb"}}
	s := b.balancer("web@file", c)
	first := exchangetest.Do(s, exchangetest.Request("GET", "/"))
	pair, _, _ := strings.Cut(first.Get("Set-Cookie"), ";")
	for _, change := range []func(*Server){func(s *Server) { s.Fenced = true }, func(s *Server) { s.Weight = 0 }} {
		c.Servers = servers("a", "b")
		for i := range c.Servers {
			if c.Servers[i].URL == first.Body {
				change(&c.Servers[i])
			}
		}
		s := b.balancer("web@file", c)
		if r := exchangetest.Do(s, exchangetest.Request("GET", "/", "Cookie: "+pair)); r.Body != first.Body {
			t.Errorf("%+v: its client went to %s", c.Servers, r.Body)
		}
		for range 4 {
			if r := exchangetest.Do(s, exchangetest.Request("GET", "/")); r.Body == first.Body {
				t.Errorf("%+v: a new client went there", c.Servers)
			}
		}
	}
}

func TestCookieAttributes(t *testing.T) {
	for _, c := range []struct {
		cookie Cookie
		want   string
	}{
		{Cookie{}, "_7052b=df5bd2f9c0180410; Path=/"},
		{Cookie{Name: "a b;c", Secure: true, HTTPOnly: true, SameSite: "None", MaxAge: 60, Path: "/x", Domain: "example.com"},
			"a_b_c=V; Path=/x; Domain=example.com; Max-Age=60; HttpOnly; Secure; SameSite=None"},
		{Cookie{Name: "n", SameSite: "lax", MaxAge: -1}, "n=V; Path=/; Max-Age=0; SameSite=Lax"},
		{Cookie{Name: "n", SameSite: "strict"}, "n=V; Path=/; SameSite=Strict"},
	} {
		s, err := newSticky("web@file", &c.cookie)
		if err != nil {
			t.Fatal(err)
		}
		s.add("http://10.0.0.1:80")
		got := s.lines[0]
		if c.cookie.Name != "" {
			name, rest, _ := strings.Cut(got, "=")
			_, rest, _ = strings.Cut(rest, ";")
			got = name + "=V;" + rest
		}
		if got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}
