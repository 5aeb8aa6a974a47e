package digestauth

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

func noFile(string) ([]byte, error) { return nil, errors.New("no such file") }

func build(t *testing.T, config Config) exchange.Middleware {
	t.Helper()
	m, err := New(config, noFile)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// line is what htdigest writes.
func line(name, realm, password string) string {
	return name + ":" + realm + ":" + sum(name, realm, password)
}

var users = []string{line("jane", "traefik", "secret"), line("jane", "other", "else")}

// client answers challenges.
type client struct {
	name, realm, password, nonce string
	count                        int
}

var nonceOf = regexp.MustCompile(`nonce="([^"]+)"`)

// learn takes the nonce of a challenge.
func (c *client) learn(t *testing.T, r *exchangetest.Result) {
	t.Helper()
	m := nonceOf.FindStringSubmatch(r.Get("WWW-Authenticate"))
	if r.Status != 401 || m == nil {
		t.Fatalf("%d %q", r.Status, r.Get("WWW-Authenticate"))
	}
	c.nonce, c.count = m[1], 0
}

// field makes the Authorization field of the next request.
func (c *client) field(method, uri string) string {
	c.count++
	x := credentials{nonce: c.nonce, uri: uri, qop: "auth", nc: fmt.Sprintf("%08x", c.count), cnonce: "abc"}
	return fmt.Sprintf(`Authorization: Digest username="%s", realm="%s", nonce="%s", uri="%s", response="%s", qop=auth, nc=%s, cnonce="abc", algorithm=MD5`,
		c.name, c.realm, c.nonce, uri, x.expected(sum(c.name, c.realm, c.password), method), x.nc)
}

// The example of RFC 2617 §3.5.
func TestExpected(t *testing.T) {
	c := credentials{nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093", uri: "/dir/index.html", qop: "auth", nc: "00000001", cnonce: "0a4f113b"}
	if got := c.expected(sum("Mufasa", "testrealm@host.com", "Circle Of Life"), "GET"); got != "6629fae49393a05397450978507c4ef1" {
		t.Error(got)
	}
}

func TestDigestAuth(t *testing.T) {
	m := build(t, Config{Users: users, HeaderField: "X-User", RemoveHeader: true})
	jane := &client{name: "jane", realm: "traefik", password: "secret"}
	jane.learn(t, exchangetest.Do(m(&exchangetest.Backend{}), exchangetest.Request("GET", "/p?q")))
	for range 3 {
		backend := &exchangetest.Backend{}
		x := exchangetest.Request("GET", "/p?q", jane.field("GET", "/p?q"), "X-User: admin")
		if r := exchangetest.Do(m(backend), x); r.Status != 200 || x.Record.User != "jane" || string(backend.Header.AppendTo(nil)) != "X-User: jane\r\n" {
			t.Errorf("%d, user %q, %s", r.Status, x.Record.User, backend.Header.AppendTo(nil))
		}
	}
}

func TestRejected(t *testing.T) {
	m := build(t, Config{Users: users})
	challenge := exchangetest.Do(m(&exchangetest.Backend{}), exchangetest.Request("GET", "/"))
	if got := challenge.Get("WWW-Authenticate"); !strings.HasPrefix(got, `Digest realm="traefik", qop="auth", algorithm=MD5, nonce="`) || strings.Contains(got, "stale") {
		t.Errorf("%q", got)
	}
	jane := &client{name: "jane", realm: "traefik", password: "secret"}
	jane.learn(t, challenge)
	good := jane.field("GET", "/")
	replace := func(old, new string) []any { return []any{strings.Replace(good, old, new, 1)} }
	forged := *jane
	forged.nonce = newNonces().issue()
	for name, fields := range map[string][]any{
		"wrong password":    {(&client{"jane", "traefik", "wrong", jane.nonce, 9}).field("GET", "/")},
		"unknown user":      {(&client{"nobody", "traefik", "secret", jane.nonce, 9}).field("GET", "/")},
		"another realm":     {(&client{"jane", "other", "else", jane.nonce, 9}).field("GET", "/")},
		"another method":    {jane.field("POST", "/")},
		"another URI":       {jane.field("GET", "/other")},
		"another's nonce":   {forged.field("GET", "/")},
		"a changed count":   replace("nc=00000001", "nc=00000002"),
		"count 0":           {(&client{"jane", "traefik", "secret", jane.nonce, -1}).field("GET", "/")},
		"no qop":            replace("qop=auth, ", ""),
		"another digest":    replace("algorithm=MD5", "algorithm=SHA-256"),
		"a parameter twice": replace("cnonce=", `username="jane", cnonce=`),
		"another scheme":    replace("Digest", "Basic"),
		"garbage":           {"Authorization: Digest garbage"},
		"twice":             {good, good},
	} {
		backend := &exchangetest.Backend{}
		x := exchangetest.Request("GET", "/", fields...)
		r := exchangetest.Do(m(backend), x)
		if r.Status != 401 || backend.Calls > 0 || x.Record.User != "" || strings.Contains(r.Get("WWW-Authenticate"), "stale") {
			t.Errorf("%s: %d, %d calls, %q", name, r.Status, backend.Calls, r.Get("WWW-Authenticate"))
		}
	}
	for i, want := range []int{200, 401} {
		if r := exchangetest.Do(m(&exchangetest.Backend{}), exchangetest.Request("GET", "/", good)); r.Status != want {
			t.Errorf("sent %d times: %d", i+1, r.Status)
		}
	}
}

func TestOldNonces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := build(t, Config{Users: users})
		ask := func(fields ...any) *exchangetest.Result {
			return exchangetest.Do(m(&exchangetest.Backend{}), exchangetest.Request("GET", "/", fields...))
		}
		jane := &client{name: "jane", realm: "traefik", password: "secret"}
		jane.learn(t, ask())
		used := jane.field("GET", "/")
		if r := ask(used); r.Status != 200 {
			t.Fatal(r.Status)
		}
		time.Sleep(lifetime - time.Second)
		if r := ask(jane.field("GET", "/")); r.Status != 200 {
			t.Errorf("before its time: %d", r.Status)
		}
		if r := ask(used); r.Status != 401 {
			t.Errorf("a repetition: %d", r.Status)
		}
		time.Sleep(2 * time.Second)
		r := ask(jane.field("GET", "/"))
		if r.Status != 401 || !strings.HasSuffix(r.Get("WWW-Authenticate"), ", stale=true") {
			t.Errorf("too old: %d %q", r.Status, r.Get("WWW-Authenticate"))
		}
		jane.learn(t, r)
		if r := ask(jane.field("GET", "/")); r.Status != 200 {
			t.Errorf("with the new one: %d", r.Status)
		}
	})
}

func TestNoncesAreForgotten(t *testing.T) {
	n := newNonces()
	first := n.issue()
	n.use(first, 1)
	for range mostUsed {
		n.use(n.issue(), 1)
	}
	if len(n.young)+len(n.elder) > 2*mostUsed {
		t.Errorf("%d nonces", len(n.young)+len(n.elder))
	}
	if got := n.use(first, 1); got != old {
		t.Errorf("a forgotten nonce can be used again: %d", got)
	}
	if got := n.use(n.issue(), 1); got != fresh {
		t.Errorf("a new one: %d", got)
	}
}

func TestWindow(t *testing.T) {
	var w window
	for i, c := range []struct {
		count uint32
		want  bool
	}{{0, false}, {1, true}, {1, false}, {3, true}, {2, true}, {2, false}, {100, true}, {37, true}, {37, false}, {36, false}, {3, false}, {1 << 31, true}, {100, false}, {1<<32 - 1, true}} {
		if got := w.use(c.count); got != c.want {
			t.Errorf("%d: count %d: %v", i, c.count, got)
		}
	}
}

func TestUsersFile(t *testing.T) {
	m, err := New(Config{UsersFile: "f", Realm: "other"}, func(string) ([]byte, error) {
		return []byte("# comment\r\n\r\n" + strings.Join(users, "\r\n")), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	jane := &client{name: "jane", realm: "other", password: "else"}
	jane.learn(t, exchangetest.Do(m(&exchangetest.Backend{}), exchangetest.Request("GET", "/")))
	if r := exchangetest.Do(m(&exchangetest.Backend{}), exchangetest.Request("GET", "/", jane.field("GET", "/"))); r.Status != 200 {
		t.Errorf("%d", r.Status)
	}
}

func TestBadConfigurations(t *testing.T) {
	for name, config := range map[string]Config{
		"no users":           {},
		"usersFile: no such": {UsersFile: "f"},
		"not of the form":    {Users: []string{"a:b"}},
		"user a: the hash":   {Users: []string{"a:traefik:plain"}},
		"realm":              {Users: users, Realm: `a"b`},
	} {
		if _, err := New(config, noFile); err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "plain") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Nothing that a client sends is taken for credentials unless each parameter stands once.
func FuzzCredentials(f *testing.F) {
	jane := &client{name: "jane", realm: "traefik", password: "secret", nonce: "n"}
	f.Add(strings.TrimPrefix(jane.field("GET", "/"), "Authorization: "))
	f.Add(`Digest username="a\"b", qop="auth", nc=00000001, cnonce=c, response=r`)
	f.Add("Digest ,,=,=\"")
	f.Fuzz(func(t *testing.T, value string) {
		var h exchange.Header
		h.Add(exchange.Authorization, value)
		if c, ok := parseCredentials(&h); ok && (c.username == "" || c.response == "" || c.qop != "auth" || c.cnonce == "" || len(c.nc) != 8) {
			t.Errorf("%q: %+v", value, c)
		}
	})
}
