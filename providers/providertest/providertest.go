// Package providertest is what every provider of dynamic configuration must pass.
//
// A provider's test implements [Source] over its own kind of source, and calls [Run].
package providertest

import (
	"context"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/providers"
)

// Source is what a provider reads, in a test's hands. Each call has taken effect on the source when
// it returns, though not yet on the provider.
type Source interface {
	// Provider returns a new provider of the source.
	Provider() providers.Provider
	// Set has the source hold exactly these HTTP routers: name to rule. A router whose rule is Bad is
	// written in a way that cannot be decoded. It mends what Break did.
	Set(routers map[string]string)
	// Break makes the source unreadable as a whole.
	Break()
}

// Bad as a rule stands for a router that cannot be decoded.
const Bad = "\x00bad"

// patience is how long a provider may take to notice a change.
const patience = 10 * time.Second

// Run runs the suite. newSource is called once a case, for a source that holds nothing yet.
func Run(t *testing.T, newSource func(t *testing.T) Source) {
	for _, c := range []struct {
		name string
		test func(*testing.T, Source)
	}{
		{"complete", complete},
		{"pointers", pointers},
		{"isolation", isolation},
		{"last good kept", lastGoodKept},
		{"quiet", quiet},
		{"stops", stops},
		{"no leak", noLeak},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, newSource(t)) })
	}
}

// complete: every update is the whole configuration, also when objects come and go.
func complete(t *testing.T, s Source) {
	s.Set(map[string]string{"a": "Path(`/a`)", "b": "Path(`/b`)"})
	r := start(t, s)
	r.await("a and b", holds("a", "Path(`/a`)", "b", "Path(`/b`)"))
	s.Set(map[string]string{"b": "Path(`/b`)", "c": "Path(`/c`)"})
	r.await("b and c", holds("b", "Path(`/b`)", "c", "Path(`/c`)"))
	s.Set(nil)
	r.await("nothing", holds())
	s.Set(map[string]string{"a": "Path(`/a`)"})
	r.await("a again", holds("a", "Path(`/a`)"))
}

// pointers: an object that did not change is the same pointer, and one that did is another.
func pointers(t *testing.T, s Source) {
	s.Set(map[string]string{"a": "Path(`/a`)", "b": "Path(`/b`)"})
	r := start(t, s)
	before := r.await("a and b", holds("a", "Path(`/a`)", "b", "Path(`/b`)")).Config.HTTP.Routers
	s.Set(map[string]string{"a": "Path(`/a`)", "b": "Path(`/new`)", "c": "Path(`/c`)"})
	after := r.await("the new b", holds("a", "Path(`/a`)", "b", "Path(`/new`)", "c", "Path(`/c`)")).Config.HTTP.Routers
	if before["a"] != after["a"] {
		t.Error("the pointer of an unchanged router changed")
	}
	if before["b"] == after["b"] || before["b"].Rule != "Path(`/b`)" {
		t.Error("a router that was sent has been written to")
	}
}

// isolation: an object in error is a problem that names it, and the rest stands.
func isolation(t *testing.T, s Source) {
	s.Set(map[string]string{"a": "Path(`/a`)", "b": Bad, "c": "Path(`/c`)"})
	r := start(t, s)
	u := r.await("a and c", holds("a", "Path(`/a`)", "c", "Path(`/c`)"))
	if !slices.ContainsFunc(u.Problems, func(p dynamic.Problem) bool {
		return p.Object == "http.routers.b" && p.Source != "" && p.Message != ""
	}) {
		t.Errorf("no problem names http.routers.b and its source: %v", u.Problems)
	}
	s.Set(map[string]string{"a": "Path(`/a`)", "b": "Path(`/b`)", "c": "Path(`/c`)"})
	u = r.await("b mended", holds("a", "Path(`/a`)", "b", "Path(`/b`)", "c", "Path(`/c`)"))
	if len(u.Problems) > 0 {
		t.Errorf("problems stay when mended: %v", u.Problems)
	}
}

// lastGoodKept: a source that cannot be read takes nothing away, and is read again when it can be.
func lastGoodKept(t *testing.T, s Source) {
	s.Set(map[string]string{"a": "Path(`/a`)"})
	r := start(t, s)
	before := r.await("a", holds("a", "Path(`/a`)")).Config.HTTP.Routers["a"]
	s.Break()
	s.Set(map[string]string{"a": "Path(`/a`)", "b": "Path(`/b`)"})
	after := r.await("b", holds("a", "Path(`/a`)", "b", "Path(`/b`)"))
	if len(after.Problems) > 0 {
		t.Errorf("problems stay when mended: %v", after.Problems)
	}
	if before != after.Config.HTTP.Routers["a"] {
		t.Error("the pointer of an unchanged router changed while the source was broken")
	}
	s.Break()
	s.Set(map[string]string{"c": "Path(`/c`)"})
	r.await("c", holds("c", "Path(`/c`)"))
	for _, u := range r.seen {
		if len(routers(u)) == 0 {
			t.Error("an update took everything away while the source was broken")
		}
	}
}

// quiet: setting what is already there sends nothing. That no two updates in a row are equal is
// checked in every case.
func quiet(t *testing.T, s Source) {
	s.Set(map[string]string{"a": "Path(`/a`)"})
	r := start(t, s)
	r.await("a", holds("a", "Path(`/a`)"))
	for range 3 {
		s.Set(map[string]string{"a": "Path(`/a`)"})
	}
	s.Set(map[string]string{"a": "Path(`/b`)"})
	r.await("the new a", holds("a", "Path(`/b`)"))
	if len(r.seen) > 2 {
		t.Errorf("%d updates for one change", len(r.seen)-1)
	}
}

// stops: Run returns nil soon after its context has ended, and has then sent its last.
func stops(t *testing.T, s Source) {
	s.Set(map[string]string{"a": "Path(`/a`)"})
	r := start(t, s)
	r.await("a", holds("a", "Path(`/a`)"))
	if err := r.stop(); err != nil {
		t.Errorf("Run returned %v when its context ended", err)
	}
	s.Set(map[string]string{"b": "Path(`/b`)"})
	select {
	case u := <-r.updates:
		t.Errorf("an update after Run had returned: %v", routers(u))
	default:
	}
}

// noLeak: Run leaves no goroutine and no descriptor behind.
func noLeak(t *testing.T, s Source) {
	s.Set(map[string]string{"a": "Path(`/a`)"})
	once := func() {
		r := start(t, s)
		r.await("a", holds("a", "Path(`/a`)"))
		_ = r.stop()
	}
	once() // what is made once and kept is no leak
	goroutines, descriptors := runtime.NumGoroutine(), openDescriptors()
	for range 5 {
		once()
	}
	eventually(t, "goroutines are left behind", func() bool { return runtime.NumGoroutine() <= goroutines })
	eventually(t, "descriptors are left behind", func() bool { return openDescriptors() <= descriptors })
}

func eventually(t *testing.T, complaint string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(patience); !ok(); {
		select {
		case <-tick.C:
		case <-end:
			t.Error(complaint)
			return
		}
	}
}

// recorder runs a provider and looks at what it sends.
type recorder struct {
	t       *testing.T
	name    string
	updates chan dynamic.Update
	seen    []dynamic.Update
	cancel  context.CancelFunc
	done    chan error
}

func start(t *testing.T, s Source) *recorder {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	p := s.Provider()
	r := &recorder{t: t, name: p.Name(), updates: make(chan dynamic.Update, 100), cancel: cancel, done: make(chan error, 1)}
	go func() { r.done <- p.Run(ctx, func(u dynamic.Update) { r.updates <- u }) }()
	t.Cleanup(func() { _ = r.stop() })
	return r
}

// stop ends the provider and returns what Run returned.
func (r *recorder) stop() error {
	r.t.Helper()
	r.cancel()
	select {
	case err := <-r.done:
		r.done <- err
		return err
	case <-time.After(patience):
		r.t.Fatal("Run does not return when its context ends")
		return nil
	}
}

// await returns the next update that is as wanted, and checks those before it.
func (r *recorder) await(what string, wanted func(dynamic.Update) bool) dynamic.Update {
	r.t.Helper()
	end := time.After(patience)
	for {
		select {
		case u := <-r.updates:
			r.check(u)
			r.seen = append(r.seen, u)
			if wanted(u) {
				return u
			}
		case err := <-r.done:
			r.done <- err
			r.t.Fatalf("waiting for %s: Run returned %v", what, err)
		case <-end:
			r.t.Fatalf("waiting for %s: got %v", what, r.seen)
		}
	}
}

// check holds an update against the rules that hold for every one.
func (r *recorder) check(u dynamic.Update) {
	r.t.Helper()
	if u.Provider != r.name || strings.Contains(r.name, "@") {
		r.t.Errorf("the update is of provider %q, and its name is %q", u.Provider, r.name)
	}
	if u.Config == nil {
		r.t.Fatal("the update has no configuration")
	}
	if n := len(r.seen); n > 0 && reflect.DeepEqual(r.seen[n-1].Config, u.Config) && reflect.DeepEqual(r.seen[n-1].Problems, u.Problems) {
		r.t.Error("an update says what the one before it said")
	}
}

func routers(u dynamic.Update) map[string]string {
	rules := map[string]string{}
	if u.Config != nil && u.Config.HTTP != nil {
		for name, r := range u.Config.HTTP.Routers {
			rules[name] = r.Rule
		}
	}
	return rules
}

// holds wants exactly these routers: name, rule, name, rule.
func holds(pairs ...string) func(dynamic.Update) bool {
	want := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		want[pairs[i]] = pairs[i+1]
	}
	return func(u dynamic.Update) bool { return reflect.DeepEqual(routers(u), want) }
}
