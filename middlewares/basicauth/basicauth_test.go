package basicauth

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
	"golang.org/x/crypto/bcrypt"
)

// users have their name as password.
var users = []string{
	"apr:$apr1$H6uskkkW$1tt00h9Pzd0v.8j20WctD/",
	"sha:{SHA}2PRZAyDhNDqRW2OUFwZQqPNdaSY=",
}

func noFile(string) ([]byte, error) { return nil, errors.New("no such file") }

func build(t *testing.T, config Config) exchange.Middleware {
	t.Helper()
	m, err := New(config, noFile)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func basic(user, password string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

func bcryptUser(t testing.TB, name string) string {
	hash, err := bcrypt.GenerateFromPassword([]byte(name), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return name + ":" + strings.Replace(string(hash), "$2a$", "$2y$", 1)
}

func TestSecrets(t *testing.T) {
	for hash, password := range map[string]string{
		"$apr1$H6uskkkW$IgXLP6ewTrSuBkTrqE8wj/": "test",
		"$apr1$d9hr9HBB$4HxwgUir3HP4EsggP/QNo0": "test2",
		"{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M=":     "test",
		// openssl passwd -1 -salt abcdefgh, -apr1 -salt ab, with a password longer than a block
		"$1$abcdefgh$.KGZcgj4Bb0pojmvgVoBg.":             "correct horse battery staple, and then some",
		"$apr1$ab$OAYw0t8d5ptjDfWW.B/Ie1":                "correct horse battery staple, and then some",
		strings.SplitN(bcryptUser(t, "pass"), ":", 2)[1]: "pass",
	} {
		s, err := parseSecret(hash)
		if err != nil {
			t.Errorf("%s: %v", hash, err)
			continue
		}
		if !s.matches([]byte(password)) {
			t.Errorf("%s does not match %q", hash, password)
		}
		for _, wrong := range []string{"", password + "x", password[1:], strings.ToUpper(password)} {
			if s.matches([]byte(wrong)) {
				t.Errorf("%s matches %q", hash, wrong)
			}
		}
	}
}

func TestBasicAuth(t *testing.T) {
	m := build(t, Config{Users: append([]string{bcryptUser(t, "bcr")}, users...), HeaderField: "X-User", RemoveHeader: true})
	for _, name := range []string{"apr", "sha", "bcr"} {
		for range 2 { // the second time from the cache
			backend := &exchangetest.Backend{}
			x := exchangetest.Request("GET", "/", basic(name, name), "x-user: admin")
			r := exchangetest.Do(m(backend), x)
			if r.Status != 200 || x.Record.User != name || backend.Get("X-User") != name || backend.Header.Len() != 1 {
				t.Errorf("%s: %d, user %q, %s", name, r.Status, x.Record.User, backend.Header.AppendTo(nil))
			}
		}
	}
}

func TestRejected(t *testing.T) {
	m := build(t, Config{Users: users, Realm: `a "b"`})
	good := basic("sha", "sha")
	for name, fields := range map[string][]any{
		"nothing":            nil,
		"wrong password":     {basic("sha", "apr")},
		"empty password":     {basic("sha", "")},
		"unknown user":       {basic("nobody", "sha")},
		"name in other case": {basic("SHA", "sha")},
		"another scheme":     {strings.Replace(good, "Basic", "Bearer", 1)},
		"no colon":           {"Authorization: Basic c2hh"},
		"no base64":          {good + "!"},
		"twice":              {good, good},
		"too long":           {basic("sha", strings.Repeat("a", 4096))},
		"scheme only":        {"Authorization: Basic"},
	} {
		backend := &exchangetest.Backend{}
		x := exchangetest.Request("GET", "/", fields...)
		r := exchangetest.Do(m(backend), x)
		if r.Status != 401 || backend.Calls != 0 || x.Record.User != "" || r.Get("WWW-Authenticate") != `Basic realm="a \"b\""` {
			t.Errorf("%s: %d, %d calls, user %q, %s", name, r.Status, backend.Calls, x.Record.User, r.Header.AppendTo(nil))
		}
	}
	if r := exchangetest.Do(m(&exchangetest.Backend{}), exchangetest.Request("GET", "/", strings.Replace(good, "Basic", "bASIC", 1))); r.Status != 200 {
		t.Errorf("the scheme is compared with its case: %d", r.Status)
	}
}

func TestKeepsHeaderUnlessTold(t *testing.T) {
	m := build(t, Config{Users: users})
	backend := &exchangetest.Backend{}
	exchangetest.Do(m(backend), exchangetest.Request("GET", "/", basic("sha", "sha"), "X-User: theirs"))
	if !backend.Has("Authorization") || backend.Get("X-User") != "theirs" {
		t.Errorf("%s", backend.Header.AppendTo(nil))
	}
	r := exchangetest.Do(m(&exchangetest.Backend{}), exchangetest.Request("GET", "/"))
	if r.Get("WWW-Authenticate") != `Basic realm="traefik"` {
		t.Errorf("%s", r.Header.AppendTo(nil))
	}
}

func TestUsersFile(t *testing.T) {
	read := func(text string) func(string) ([]byte, error) {
		return func(string) ([]byte, error) { return []byte(text), nil }
	}
	status := func(m exchange.Middleware, user, password string) int {
		return exchangetest.Do(m(&exchangetest.Backend{}), exchangetest.Request("GET", "/", basic(user, password))).Status
	}
	m, err := New(Config{UsersFile: "f"}, read("# comment\r\n\r\n"+users[0]+"\r\n"+users[1]+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if status(m, "apr", "apr") != 200 || status(m, "sha", "sha") != 200 {
		t.Error("a user of the file is rejected")
	}
	m, err = New(Config{UsersFile: "f", Users: []string{"sha:" + strings.SplitN(users[0], ":", 2)[1]}}, read(users[1]))
	if err != nil {
		t.Fatal(err)
	}
	if status(m, "sha", "sha") != 401 || status(m, "sha", "apr") != 200 {
		t.Error("the configuration's own password does not count")
	}
	m, err = New(Config{UsersFile: "f"}, read("\n"))
	if err != nil {
		t.Fatal(err)
	}
	if status(m, "sha", "sha") != 401 || status(m, "", "") != 401 {
		t.Error("a file without users lets somebody in")
	}
}

func TestBadConfigurations(t *testing.T) {
	for name, config := range map[string]Config{
		"no users":               {},
		"usersFile: no such":     {UsersFile: "f"},
		"not of the form":        {Users: []string{"name"}},
		"user a: the hash":       {Users: []string{"a:plain"}},
		"user b: the bcrypt":     {Users: []string{"b:$2y$10$short"}},
		"user c: the {SHA} hash": {Users: []string{"c:{SHA}x"}},
		"user d: the MD5 hash":   {Users: []string{"d:$apr1$x"}},
	} {
		_, err := New(config, noFile)
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "plain") {
			t.Errorf("%v gives a secret away", err)
		}
	}
}

// slow counts comparisons.
type slow struct {
	shaSecret
	compared *int
}

func (s slow) matches(password []byte) bool { *s.compared++; return s.shaSecret.matches(password) }

// An unknown name costs a comparison as a known one does, so that time does not tell them apart.
func TestUnknownUsersCostTheSame(t *testing.T) {
	compared := 0
	secret := slow{noOne.(shaSecret), &compared}
	a := &authenticator{users: map[string]*user{"known": {"known", secret}}, decoy: secret, verified: newCache(), busy: make(chan struct{}, 1)}
	for _, name := range []string{"known", "unknown"} {
		compared = 0
		if u, err := a.authenticate(exchangetest.Request("GET", "/", basic(name, "x"))); u != nil || err != nil || compared != 1 {
			t.Errorf("%s: %v, %v, %d comparisons", name, u, err, compared)
		}
	}
	u := map[string]*user{"a": {"a", shaSecret("")}, "b": {"b", bcryptSecret{nil, 10}}, "c": {"c", bcryptSecret{nil, 4}}}
	if got := costliest(u); got.cost() != 12 {
		t.Errorf("the decoy costs %d", got.cost())
	}
}

// The decoy's own password must not let an unknown user in.
func TestDecoyOpensNothing(t *testing.T) {
	m := build(t, Config{Users: users[1:]})
	if r := exchangetest.Do(m(&exchangetest.Backend{}), exchangetest.Request("GET", "/", basic("nobody", "sha"))); r.Status != 401 {
		t.Errorf("status %d", r.Status)
	}
}

func TestGoneClientsDoNotQueue(t *testing.T) {
	a := &authenticator{verified: newCache(), busy: make(chan struct{}, 1), decoy: noOne}
	a.busy <- struct{}{}
	x := exchangetest.Request("GET", "/", basic("a", "b"))
	x.Life.Cancel(exchange.ClientAbort)
	if _, err := a.authenticate(x); !errors.Is(err, exchange.ClientAbort) {
		t.Errorf("%v", err)
	}
}

func TestCacheIsBounded(t *testing.T) {
	c := newCache()
	u := &user{name: "u"}
	used := c.key([]byte("used"))
	c.put(used, u)
	for i := range 5 * cacheSize {
		c.put(c.key(fmt.Appendf(nil, "%d", i)), u)
		if c.get(used) == nil {
			t.Fatalf("what is in use was dropped after %d others", i)
		}
	}
	if n := len(c.young) + len(c.old); n > 2*cacheSize {
		t.Errorf("%d entries", n)
	}
	if c.get(c.key([]byte("0"))) != nil {
		t.Error("an unused entry is still there")
	}
	if other := newCache(); other.key([]byte("a")) == c.key([]byte("a")) {
		t.Error("two caches have the same key")
	}
}

func TestAllocatesNothing(t *testing.T) {
	m := build(t, Config{Users: []string{bcryptUser(t, "bcr")}, HeaderField: "X-User", RemoveHeader: true})
	exchangetest.AllocatesNothing(t, m, exchangetest.Request("GET", "/", basic("bcr", "bcr")))
}

func BenchmarkBasicAuth(b *testing.B) {
	m, _ := New(Config{Users: []string{bcryptUser(b, "bcr")}}, noFile)
	exchangetest.Bench(b, m, exchangetest.Request("GET", "/", basic("bcr", "bcr")))
}
