package snapshot

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pergola-mesh/pergola/config/dynamic"
)

// reloads notes when configurations took effect, with how many problems, and how many objects were kept.
type reloads struct {
	start time.Time
	at    []string
}

func (r *reloads) Reloaded(problems, kept int) {
	text := fmt.Sprintf("%v:%d", time.Since(r.start), problems)
	if kept > 0 {
		text += fmt.Sprintf(":%d", kept)
	}
	r.at = append(r.at, text)
}

// running is a runner on a goroutine of its own.
type running struct {
	*fixture
	updates chan dynamic.Update
	reloads *reloads
	log     *bytes.Buffer
	done    chan struct{}
	stop    context.CancelFunc
}

// run must be called in a synctest bubble.
func run(t *testing.T, throttle time.Duration) *running {
	r := &running{
		fixture: newFixture(t), updates: make(chan dynamic.Update), reloads: &reloads{start: time.Now()},
		log: &bytes.Buffer{}, done: make(chan struct{}),
	}
	plain := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == "duration" {
			return slog.Attr{}
		}
		return a
	}
	runner := &Runner{
		Builder: r.builder, Live: r.live, Throttle: throttle, Metrics: r.reloads,
		Logger: slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{ReplaceAttr: plain})),
	}
	ctx, stop := context.WithCancel(t.Context())
	r.stop = stop
	go func() {
		defer close(r.done)
		runner.Run(ctx, r.updates)
	}()
	return r
}

// answering is an update whose one router leads to a server called host.
func answering(provider, host string) dynamic.Update {
	return dynamic.Update{Provider: provider, Config: &dynamic.Configuration{HTTP: &dynamic.HTTPConfiguration{
		Routers: map[string]*dynamic.Router{"r": {Rule: "Path(`/" + provider + "`)", Service: "s"}},
		Services: map[string]*dynamic.Service{"s": {LoadBalancer: &dynamic.LoadBalancer{
			Servers: []dynamic.Server{{URL: "http://" + host}},
		}}},
	}}}
}

func (r *running) expect(t *testing.T, path, answer string) {
	t.Helper()
	synctest.Wait()
	if got := ask(r.live.Handler("web"), "GET", path); !strings.Contains(got, answer) {
		t.Errorf("after %v, %s: %s, want %s", time.Since(r.reloads.start), path, got, answer)
	}
}

func TestBurstsAreThrottledByProvider(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, 2*time.Second)
		r.updates <- answering("one", "first")
		r.expect(t, "/one", "http://first/one") // at once
		for i := range 10 {
			time.Sleep(100 * time.Millisecond)
			r.updates <- answering("one", fmt.Sprintf("burst%d", i))
		}
		r.expect(t, "/one", "http://first/one")
		r.updates <- answering("two", "other")
		r.expect(t, "/two", "http://other/two") // another provider does not wait
		time.Sleep(time.Second)
		r.expect(t, "/one", "http://burst9/one") // the newest, at 2 s
		r.updates <- answering("one", "later")
		time.Sleep(1900 * time.Millisecond)
		r.expect(t, "/one", "http://burst9/one")
		time.Sleep(100 * time.Millisecond)
		r.expect(t, "/one", "http://later/one")
		time.Sleep(time.Minute)
		r.updates <- answering("one", "last")
		r.expect(t, "/one", "http://last/one") // at once after a pause

		if got, want := fmt.Sprint(r.reloads.at), "[0s:0 0s:0 1s:0 2s:0 4s:0 1m4s:0]"; got != want {
			t.Errorf("reloads at %s, want %s", got, want)
		}
		r.stop()
		<-r.done
	})
}

func TestClosedUpdatesAreAppliedToTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, time.Minute)
		r.updates <- answering("one", "first")
		r.updates <- answering("one", "second")
		close(r.updates)
		<-r.done
		r.expect(t, "/one", "http://second/one")
		if passed := time.Since(r.reloads.start); passed != time.Minute {
			t.Errorf("done after %v, want a minute", passed)
		}
	})
}

func TestProblemsAreLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, 0)
		synctest.Wait()
		r.log.Reset()
		bad := decodeUpdate(t, "file", "file.yaml", "http:\n  routers:\n    a:\n      rule: Path(`/a`)\n      service: gone\n")
		r.updates <- bad
		synctest.Wait()
		want := `level=ERROR msg="Configuration problem" source=file.yaml line=3 object=http.routers.a problem="service gone@file does not exist"` + "\n" +
			`level=INFO msg="Configuration applied" provider=file problems=1 mended=0 kept=0 routers=1 services=0 middlewares=0` + "\n"
		if got := r.log.String(); got != want {
			t.Errorf("logged\n%swant\n%s", got, want)
		}

		r.log.Reset()
		r.updates <- decodeUpdate(t, "file", "file.yaml", "\n\nhttp:\n  routers:\n    a:\n      rule: Path(`/a`)\n      service: gone\n    b: {rule: Path(`/b`), service: api@internal}\n")
		synctest.Wait()
		if got := r.log.String(); strings.Contains(got, "gone") {
			t.Errorf("a problem that moved is logged again:\n%s", got)
		}

		r.log.Reset()
		r.updates <- decodeUpdate(t, "file", "file.yaml", "http: {routers: {b: {rule: Path(`/b`), service: api@internal}}}")
		synctest.Wait()
		if got := r.log.String(); !strings.Contains(got, "mended=1") {
			t.Errorf("a problem that was mended is not told of:\n%s", got)
		}
		r.log.Reset()
		r.updates <- bad
		synctest.Wait()
		if got := r.log.String(); !strings.Contains(got, "gone") {
			t.Errorf("a problem that came back is not logged:\n%s", got)
		}
		r.stop()
		<-r.done
	})
}

func TestKeptIsToldOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, 0)
		r.updates <- answering("file", "good")
		synctest.Wait()
		r.log.Reset()
		r.updates <- answering("file", ":nonsense")
		r.expect(t, "/file", "http://good/file")
		if got := r.log.String(); !strings.Contains(got, `object=http.services.s problem="`+keptMessage+`"`) || !strings.Contains(got, "kept=1") {
			t.Errorf("logged\n%s", got)
		}
		if got, want := fmt.Sprint(r.reloads.at), "[0s:0 0s:0 0s:2:1]"; got != want {
			t.Errorf("reloads at %s, want %s", got, want)
		}
		r.stop()
		<-r.done
	})
}

func TestNothingNewIsNoReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, 0)
		r.updates <- answering("one", "first")
		synctest.Wait()
		s := r.live.Snapshot()
		r.updates <- answering("one", "first")
		synctest.Wait()
		if len(r.reloads.at) != 2 || r.live.Snapshot() != s {
			t.Errorf("reloads at %v", r.reloads.at)
		}
		r.stop()
		<-r.done
	})
}
