//go:build linux

package storage

import (
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/integration/harness"
)

func open(t *testing.T, url string) *Redis {
	t.Helper()
	r, err := OpenRedis(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// A server that is away is told of by errors alone: what the client library itself prints is no line of our log.
func TestRedisThatIsAwayIsQuiet(t *testing.T) {
	const inside = "PERGOLA_TEST_REDIS"
	if os.Getenv(inside) != "" {
		if _, _, err := open(t, "redis://127.0.0.1:1").Load(t.Context(), "le", ""); err == nil {
			t.Error("loaded from nowhere")
		}
		return
	}
	command := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	command.Env = append(os.Environ(), inside+"=1")
	if out, err := command.CombinedOutput(); err != nil || strings.Contains(string(out), "redis:") {
		t.Errorf("%v, it printed:\n%s", err, out)
	}
}

func TestRedisLeasesExclude(t *testing.T) {
	url := "redis://" + harness.Redis(t)
	exclusive(t, open(t, url), open(t, url))
}

func TestRedisSaves(t *testing.T) {
	url := "redis://" + harness.Redis(t) + "/2?prefix=edge"
	one, two := open(t, url), open(t, url)
	data, none, err := two.Load(t.Context(), "le", "")
	if err != nil || data == nil || data.Account != nil {
		t.Fatalf("an empty storage: %+v, %v", data, err)
	}
	lease, err := one.Acquire(t.Context(), "le")
	if err != nil {
		t.Fatal(err)
	}
	defer lease.Release()
	save := func(c Change) {
		t.Helper()
		if err := lease.Save(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	a := &Certificate{Domain: dynamic.Domain{Main: "a.example"}, Certificate: []byte("chain"), Key: []byte("key"), Store: "default", CAServer: "https://ca"}
	b := &Certificate{Domain: dynamic.Domain{Main: "b.example"}}
	save(Change{Account: &Account{Email: "ops@example", PrivateKey: []byte("k")}, Put: []*Certificate{a, b},
		Failed: map[string]Failure{"c.example": {Count: 2, Error: "refused"}}})
	data, first, err := two.Load(t.Context(), "le", none)
	if err != nil || data == nil || data.Account.Email != "ops@example" || len(data.Certificates) != 2 || data.Failures["c.example"].Count != 2 {
		t.Fatalf("loaded %+v, %v", data, err)
	}
	i := slices.IndexFunc(data.Certificates, func(c *Certificate) bool { return c.ID() == "a.example" })
	if got := data.Certificates[i]; string(got.Key) != "key" || got.CAServer != "https://ca" {
		t.Errorf("certificate %+v", got)
	}
	if data, _, err := two.Load(t.Context(), "le", first); err != nil || data != nil {
		t.Errorf("nothing has changed: %+v, %v", data, err)
	}
	save(Change{Drop: []string{"b.example"}, Failed: map[string]Failure{"c.example": {}}})
	data, _, err = two.Load(t.Context(), "le", first)
	if err != nil || len(data.Certificates) != 1 || len(data.Failures) != 0 || data.Account == nil {
		t.Errorf("after a drop: %+v, %v", data, err)
	}
	if data, _, err := two.Load(t.Context(), "another", ""); err != nil || data.Account != nil {
		t.Errorf("another resolver has %+v, %v", data, err)
	}
}

// TestRedisLeaseThatWasLost changes nothing: the server decides, even if the holder knows of nothing.
func TestRedisLeaseThatWasLost(t *testing.T) {
	url := "redis://" + harness.Redis(t)
	one, two := open(t, url), open(t, url)
	old, err := one.Acquire(t.Context(), "le")
	if err != nil {
		t.Fatal(err)
	}
	// The holder slept until its time was up.
	if err := one.client.Del(t.Context(), one.key("le", "lease")).Err(); err != nil {
		t.Fatal(err)
	}
	fresh, err := two.Acquire(t.Context(), "le")
	if err != nil {
		t.Fatal(err)
	}
	if err := old.Save(t.Context(), Change{Account: &Account{Email: "old"}}); !errors.Is(err, ErrLost) {
		t.Errorf("a save with a lost lease: %v", err)
	}
	if old.Context().Err() == nil {
		t.Error("the context of a lost lease goes on")
	}
	old.Release() // must not release that of another
	if _, err := one.Acquire(t.Context(), "le"); !errors.Is(err, ErrHeld) {
		t.Errorf("the lost lease released another: %v", err)
	}
	if data, _, err := two.Load(t.Context(), "le", ""); err != nil || data.Account != nil {
		t.Errorf("the lost lease has saved %+v, %v", data, err)
	}
	fresh.Release()
}

func TestRedisChallenges(t *testing.T) {
	url := "redis://" + harness.Redis(t)
	one, two := open(t, url), open(t, url)
	c := Challenge{Kind: HTTP01, Key: "token", Name: "a.example", KeyAuthorization: "proof"}
	if err := one.Present(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	for _, r := range []*Redis{one, two} {
		if got, ok, err := r.Find(t.Context(), HTTP01, "token"); err != nil || !ok || got != c {
			t.Errorf("%+v, %v, %v", got, ok, err)
		}
	}
	if _, ok, err := two.Find(t.Context(), TLSALPN01, "token"); ok || err != nil {
		t.Errorf("of another kind: %v, %v", ok, err)
	}
	if life := two.client.TTL(t.Context(), two.challenge(HTTP01, "token")).Val(); life <= 0 || life > ChallengeLife {
		t.Errorf("it lives %s", life)
	}
	if err := one.Withdraw(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	for _, r := range []*Redis{one, two} {
		if _, ok, err := r.Find(t.Context(), HTTP01, "token"); ok || err != nil {
			t.Errorf("withdrawn: %v, %v", ok, err)
		}
	}
}

func TestRedisURLs(t *testing.T) {
	for _, url := range []string{
		"redis://localhost:6379", "rediss://user:pass@localhost:6379/1?prefix=a", "unix:///run/redis.sock?db=2",
		"redis://localhost:6379?addr=localhost:6380&prefix=a", "redis://localhost:26379?master_name=main",
	} {
		r, err := OpenRedis(url)
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		r.Close()
	}
	_, err := OpenRedis("redis://user:hidden@localhost:6379/x")
	if err == nil || strings.Contains(err.Error(), "hidden") {
		t.Errorf("an error that shows the password, or none: %v", err)
	}
	if _, err := OpenRedis("redis://user:hidden@local host:1"); err == nil || strings.Contains(err.Error(), "hidden") {
		t.Errorf("an error that shows the password, or none: %v", err)
	}
}
