package acme

import (
	"crypto/x509"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-acme/lego/v5/acme"

	"github.com/pergola-mesh/pergola/identity/acme/storage"
)

const day = 24 * time.Hour

// wait lets time pass in a bubble.
func wait(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestOrdersOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca, s := &fakeAuthority{life: 90 * day, took: time.Minute}, &fakeStorage{}
		u := newSubject(t, ca, s, []string{"a.example"}, []string{"b.example", "c.example"})
		wait(10 * time.Minute)
		if got := ca.ordered(); !slices.Equal(got, []string{"a.example", "b.example+c.example"}) || ca.most != 1 || ca.accounts != 1 {
			t.Errorf("orders %v, %d at a time, %d accounts", got, ca.most, ca.accounts)
		}
		if u.serves() != "a.example b.example,c.example" || len(s.names()) != 2 {
			t.Errorf("serves %s; stored are %v", u.serves(), s.names())
		}
	})
}

// TestRenewal is after two thirds of a life, not sooner than a twentieth before, and only of what is in use.
func TestRenewalOfWhatIsInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca, s := &fakeAuthority{life: 90 * day}, &fakeStorage{}
		u := newSubject(t, ca, s, []string{"a.example", "b.example"}, []string{"gone.example"})
		start := time.Now()
		wait(time.Hour)
		u.want(wants{sets: [][]string{{"a.example"}}})
		wait(70 * day)
		if got := ca.ordered(); !slices.Equal(got[2:], []string{"a.example"}) {
			t.Fatalf("orders %v", got)
		}
		if after := ca.at[2].Sub(start); after < 60*day-90*day/20 || after > 60*day+time.Minute {
			t.Errorf("renewed after %s", after)
		}
		if u.serves() != "a.example" {
			t.Errorf("serves %s", u.serves())
		}
	})
}

// TestStatedLifetime counts when it is shorter than the certificate's.
func TestStatedLifetime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca, s := &fakeAuthority{life: 365 * day}, &fakeStorage{}
		newSubject(t, ca, s, []string{"a.example"}) // counts on 90 days
		wait(61 * day)
		if got := len(ca.ordered()); got != 2 {
			t.Errorf("%d orders", got)
		}
	})
}

// TestFailuresPause ever longer, name by name, and are remembered by the storage: a gateway that starts anew,
// or another, does not begin from the start.
func TestFailuresPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := errors.New("refused")
		ca := &fakeAuthority{life: 90 * day, fail: func(names []string) error {
			if names[0] == "bad.example" {
				return refused
			}
			return nil
		}}
		s := &fakeStorage{}
		u := newSubject(t, ca, s, []string{"bad.example"}, []string{"good.example"})
		wait(time.Second)
		if u.serves() != "good.example" {
			t.Errorf("one name's failure keeps another from its certificate: serves %q", u.serves())
		}
		wait(time.Hour)
		tries := func() (n int) {
			for _, names := range ca.ordered() {
				if names == "bad.example" {
					n++
				}
			}
			return n
		}
		if n := tries(); n < 4 || n > 5 {
			t.Errorf("%d attempts in an hour; Let's Encrypt allows five", n)
		}
		before := tries()
		newSubject(t, ca, s, []string{"bad.example"})
		wait(time.Minute)
		if n := tries(); n != before {
			t.Errorf("another gateway tries at once: %d attempts after %d", n, before)
		}
		wait(7 * day)
		if n := tries() - before; n > 7*3 {
			t.Errorf("%d attempts in a week", n)
		}
		ca.mu.Lock()
		ca.fail = nil
		ca.mu.Unlock()
		wait(14 * time.Hour)
		if len(s.data.Failures) != 0 || !strings.Contains(u.serves(), "bad.example") {
			t.Errorf("after a success: %v, serves %s", s.data.Failures, u.serves())
		}
	})
}

// TestAuthorityOutOfReach stops all orders, not one after the other.
func TestAuthorityOutOfReach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := &fakeAuthority{life: 90 * day, fail: func([]string) error { return unreachable(errors.New("no route")) }}
		u := newSubject(t, ca, &fakeStorage{}, []string{"a.example"}, []string{"b.example"}, []string{"c.example"})
		wait(time.Minute)
		if got := ca.ordered(); len(got) != 1 {
			t.Errorf("orders %v", got)
		}
		u.resolver.mu.Lock()
		status := u.status
		u.resolver.mu.Unlock()
		if status.Missing != 3 || !strings.Contains(status.Error, "no route") {
			t.Errorf("status %+v", status)
		}
	})
}

func TestRateLimitIsHeeded(t *testing.T) {
	limited := &acme.RateLimitedError{ProblemDetails: &acme.ProblemDetails{Detail: "too many"}, RetryAfter: 5 * time.Hour}
	now := time.Now()
	f := failAgain(storage.Failure{}, fmt.Errorf("order: %w", limited), now)
	if pause := f.Until.Sub(now); pause < 5*time.Hour-time.Second || f.Count != 1 {
		t.Errorf("%+v, a pause of %s", f, pause)
	}
}

// TestTwoGateways share a storage: one orders, both serve.
func TestTwoGateways(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca, s := &fakeAuthority{life: 3 * day, took: 20 * time.Second}, &fakeStorage{shared: true}
		one := newSubject(t, ca, s, []string{"a.example"}, []string{"b.example"})
		two := newSubject(t, ca, s, []string{"a.example"}, []string{"b.example"})
		wait(time.Minute)
		if got := ca.ordered(); len(got) != 2 || ca.most != 1 || ca.accounts != 1 {
			t.Errorf("orders %v, %d at a time, %d accounts", got, ca.most, ca.accounts)
		}
		if one.serves() != "a.example b.example" || two.serves() != one.serves() {
			t.Errorf("one serves %q, the other %q", one.serves(), two.serves())
		}
		wait(2*day + time.Hour)
		if got := ca.ordered(); len(got) != 4 {
			t.Errorf("with renewals: %v", got)
		}
	})
}

// TestStorageFails: what is in memory is served on, nothing is ordered, and what was obtained is saved once
// it works again.
func TestStorageFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca, s := &fakeAuthority{life: 90 * day}, &fakeStorage{}
		u := newSubject(t, ca, s, []string{"a.example"})
		wait(time.Second)
		s.set(errors.New("connection refused"))
		u.want(wants{sets: [][]string{{"a.example"}, {"b.example"}}})
		wait(time.Hour)
		if u.serves() != "a.example" || len(ca.ordered()) != 1 {
			t.Errorf("serves %q; orders %v", u.serves(), ca.ordered())
		}
		if n := strings.Count(u.log.String(), "level=ERROR"); n != 1 {
			t.Errorf("%d errors in the log for one outage:\n%s", n, &u.log)
		}
		s.set(nil)
		wait(2 * time.Minute)
		if u.serves() != "a.example b.example" {
			t.Errorf("after the outage: serves %q", u.serves())
		}
	})
}

// TestStorageThatCanOnlyBeRead, such as a file system or a replica of Redis that nobody may write to, is one
// outage and not one for each time that reading works.
func TestStorageThatCanOnlyBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca, s := &fakeAuthority{life: 90 * day}, &fakeStorage{readable: true}
		u := newSubject(t, ca, s, []string{"a.example"})
		wait(time.Second)
		s.set(errors.New("read-only"))
		u.want(wants{sets: [][]string{{"a.example"}, {"b.example"}}})
		wait(time.Hour)
		told := func(what string) int { return strings.Count(u.log.String(), what) }
		if told("level=ERROR") != 1 || told("works again") != 0 || u.serves() != "a.example" {
			t.Errorf("serves %q:\n%s", u.serves(), &u.log)
		}
		s.set(nil)
		wait(2 * time.Minute)
		if told("works again") != 1 || u.serves() != "a.example b.example" {
			t.Errorf("after the outage: serves %q:\n%s", u.serves(), &u.log)
		}
	})
}

func TestObtainedWhileStorageFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca, s := &fakeAuthority{life: 90 * day, took: time.Minute}, &fakeStorage{}
		u := newSubject(t, ca, s, []string{"a.example"})
		wait(30 * time.Second)
		s.set(errors.New("connection refused"))
		wait(time.Hour)
		if u.serves() != "a.example" {
			t.Errorf("serves %q", u.serves())
		}
		if len(s.names()) != 0 {
			t.Fatalf("stored are %v", s.names())
		}
		s.set(nil)
		wait(5 * time.Minute)
		if !slices.Equal(s.names(), []string{"a.example"}) || len(ca.ordered()) != 1 {
			t.Errorf("after the outage: stored are %v; orders %v", s.names(), ca.ordered())
		}
	})
}

// TestAccountOpenedWhileStorageFails is saved once it works again, and not opened anew.
func TestAccountOpenedWhileStorageFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStorage{}
		ca := &fakeAuthority{life: 90 * day, registering: func() { s.set(errors.New("connection refused")) }}
		newSubject(t, ca, s, []string{"a.example"})
		wait(time.Hour)
		if len(ca.ordered()) != 0 {
			t.Errorf("orders %v by an account that is not saved", ca.ordered())
		}
		s.set(nil)
		wait(time.Hour)
		if ca.accounts != 1 || s.data.Account == nil || len(ca.ordered()) != 1 {
			t.Errorf("%d accounts, stored is %v, orders %v", ca.accounts, s.data.Account, ca.ordered())
		}
	})
}

// TestManyNames are planned in a time that does not grow with their square: all at once takes about as long
// as as many in small parts do. The best times of several count, as other processes may have a share in any.
func TestManyNames(t *testing.T) {
	const many, parts, rounds, most = 20000, 100, 5, 4
	now := time.Now()
	one, err := parse(issue([]string{"one.example"}, day, "https://ca/dir"))
	if err != nil {
		t.Fatal(err)
	}
	for _, ordered := range []bool{false, true} {
		plan := func(n, times int) time.Duration {
			s := &state{caServer: "https://ca/dir"}
			for i := range n {
				s.sets = append(s.sets, []string{fmt.Sprintf("%d.example", i)})
				if ordered {
					c := *one
					c.names = s.sets[i]
					s.certificates = append(s.certificates, &c)
				}
			}
			runtime.GC()
			start := time.Now()
			for range times {
				p := newPlan(s, now)
				if ordered && (len(p.jobs) != 0 || len(p.use) != n) || !ordered && (len(p.jobs) != n || p.missing != n) {
					t.Fatalf("%d jobs, %d in use, %d missing of %d", len(p.jobs), len(p.use), p.missing, n)
				}
			}
			return time.Since(start)
		}
		atOnce, inParts := plan(many, 1), plan(many/parts, parts)
		for range rounds - 1 {
			atOnce, inParts = min(atOnce, plan(many, 1)), min(inParts, plan(many/parts, parts))
		}
		if atOnce > most*inParts {
			t.Errorf("ordered %v: %d names take %v, and in %d parts %v", ordered, many, atOnce, parts, inParts)
		}
	}
}

// TestAuthorityChoosesTheTime of renewal, within the certificate's life.
func TestAuthorityChoosesTheTime(t *testing.T) {
	for name, test := range map[string]struct {
		start, end, min, max time.Duration
	}{
		"early":        {10 * day, 12 * day, 10 * day, 12*day + time.Minute},
		"after an end": {100 * day, 120 * day, 80 * day, 81*day + time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := &fakeAuthority{life: 90 * day, window: func(leaf *x509.Certificate) (window, error) {
					return window{start: leaf.NotBefore.Add(test.start), end: leaf.NotBefore.Add(test.end)}, nil
				}}
				start := time.Now()
				newSubject(t, ca, &fakeStorage{}, []string{"a.example"})
				wait(test.max)
				if len(ca.at) != 2 {
					t.Fatalf("%d orders", len(ca.at))
				}
				if after := ca.at[1].Sub(start); after < test.min || !ca.replaced[1] {
					t.Errorf("renewed after %s; the replaced one was named: %v", after, ca.replaced[1])
				}
			})
		})
	}
}

// TestAnotherAuthority, as when a configuration leaves staging behind: what the other issued is served until
// there is better.
func TestAnotherAuthority(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeStorage{}
		s.data.Certificates = []*storage.Certificate{issue([]string{"a.example"}, 90*day, "https://staging/dir")}
		ca := &fakeAuthority{life: 90 * day, took: time.Minute}
		u := newSubject(t, ca, s, []string{"a.example"})
		wait(time.Second)
		if u.serves() != "a.example" {
			t.Errorf("serves %q while the new one is on its way", u.serves())
		}
		wait(2 * time.Minute)
		if len(ca.ordered()) != 1 || len(s.data.Certificates) != 1 || s.data.Certificates[0].CAServer != "https://ca/dir" {
			t.Errorf("orders %v, stored %v", ca.ordered(), s.names())
		}
	})
}
