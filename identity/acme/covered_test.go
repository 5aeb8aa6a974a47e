package acme

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pergola-mesh/pergola/identity"
	"github.com/pergola-mesh/pergola/identity/acme/storage"
)

// configured is a certificate that no resolver obtained, and that lives from now on.
func configured(t *testing.T, life time.Duration, names ...string) *identity.Certificate {
	t.Helper()
	stored := issue(names, life, "")
	c, err := identity.ParseCertificate(stored.Certificate, stored.Key)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestCoveredNamesAreNotOrdered: what a configured certificate is for, by name or by wildcard, is ordered when
// that ends soon.
func TestCoveredNamesAreNotOrdered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := &fakeAuthority{life: 90 * day}
		u := newSubject(t, ca, &fakeStorage{})
		have := newCover([]*identity.Certificate{configured(t, 90*day, "a.example", "*.b.example"), configured(t, 40*day, "a.example")})
		u.want(wants{sets: [][]string{{"*.b.example"}, {"a.example"}, {"b.example", "x.b.example"}, {"y.x.b.example"}}, have: have})
		wait(time.Hour)
		if got, want := ca.ordered(), []string{"b.example", "y.x.b.example"}; !slices.Equal(got, want) {
			t.Fatalf("orders %q, want %q", got, want)
		}
		wait(76*day - 2*time.Hour)
		for _, names := range ca.ordered()[2:] {
			if names != "b.example" && names != "y.x.b.example" { // these are renewed meanwhile
				t.Errorf("%s is ordered before its certificate ends soon", names)
			}
		}
		before := len(ca.ordered())
		wait(2 * time.Hour)
		if got, want := ca.ordered()[before:], []string{"*.b.example", "a.example"}; !slices.Equal(got, want) {
			t.Errorf("14 days before the end orders %q, want %q", got, want)
		}
	})
}

// TestCoverComesAndGoes: without the configured certificate its names are ordered, and one that is not valid
// yet covers nothing.
func TestCoverComesAndGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := &fakeAuthority{life: 90 * day}
		u := newSubject(t, ca, &fakeStorage{})
		sets := [][]string{{"a.example"}}
		u.want(wants{sets: sets, have: newCover([]*identity.Certificate{configured(t, 90*day, "a.example")})})
		wait(time.Hour)
		if got := ca.ordered(); len(got) > 0 {
			t.Fatalf("orders %q", got)
		}
		u.want(wants{sets: sets, have: cover{"a.example": {{time.Now().Add(day), time.Now().Add(90 * day)}}}})
		wait(time.Second)
		if got := ca.ordered(); len(got) != 1 || u.serves() != "a.example" {
			t.Errorf("orders %q, serves %q", got, u.serves())
		}
		wait(2 * day)
		if u.serves() != "" {
			t.Errorf("serves %q beside the configured one", u.serves())
		}
	})
}

// TestDefaultCertificateIsOrdered whatever else covers its names: no other stands in for it.
func TestDefaultCertificateIsOrdered(t *testing.T) {
	always := ofDefault([]identity.Wanted{{Resolver: "le", Domains: []string{"A.example"}}, {Resolver: "le", Domains: []string{"b.example"}, Router: "b@file"}})
	synctest.Test(t, func(t *testing.T) {
		ca := &fakeAuthority{life: 90 * day}
		u := newSubject(t, ca, &fakeStorage{})
		have := newCover([]*identity.Certificate{configured(t, 90*day, "*.example", "a.example", "b.example")})
		u.want(wants{sets: [][]string{{"a.example"}, {"b.example"}}, have: have, always: always})
		wait(time.Hour)
		if got := ca.ordered(); !slices.Equal(got, []string{"a.example"}) {
			t.Errorf("orders %q", got)
		}
	})
}

// TestRetry forgets failures: of names, and of the authority.
func TestRetry(t *testing.T) {
	for what, reason := range map[string]error{"names": errors.New("refused"), "authority": unreachable(errors.New("down"))} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				mended := atomic.Bool{}
				ca, s := &fakeAuthority{life: 90 * day, fail: func([]string) error {
					if mended.Load() {
						return nil
					}
					return reason
				}}, &fakeStorage{}
				u := newSubject(t, ca, s, []string{"a.example"})
				wait(time.Hour)
				tries := len(ca.ordered())
				u.tryAgain()
				synctest.Wait()
				if n := len(ca.ordered()); n != tries+1 {
					t.Fatalf("%d attempts after %d", n, tries)
				}
				for id, f := range s.failures() {
					if f.Count != 1 {
						t.Errorf("failure %d of %s is counted", f.Count, id)
					}
				}
				mended.Store(true)
				u.tryAgain()
				synctest.Wait()
				if u.serves() != "a.example" || len(s.failures()) > 0 {
					t.Errorf("serves %q, failures %v", u.serves(), s.failures())
				}
				u.tryAgain()
				wait(time.Minute)
				if n := len(ca.ordered()); n != tries+2 {
					t.Errorf("with nothing failed there are %d attempts after %d", n, tries+2)
				}
			})
		})
	}
}

// TestRetryWaitsForTheLease of another gateway, and for a storage that has failed.
func TestRetryWaitsForTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca, s := &fakeAuthority{life: 90 * day, fail: func([]string) error { return errors.New("refused") }}, &fakeStorage{shared: true}
		u := newSubject(t, ca, s, []string{"a.example"})
		wait(time.Hour)
		tries := len(ca.ordered())
		s.set(storage.ErrLost)
		u.tryAgain()
		wait(time.Second)
		s.set(nil)
		wait(time.Minute)
		if n := len(ca.ordered()); n != tries+1 {
			t.Errorf("%d attempts after %d", n, tries)
		}
	})
}
