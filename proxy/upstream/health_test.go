package upstream

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pergola-mesh/pergola/internal/certtest"
)

// fakeProbes answers probes by host.
type fakeProbes struct {
	mu       sync.Mutex
	statuses map[string]int // 200 when absent; -1 never answers, 0 refuses
	seen     map[string][]time.Time
	last     *http.Request
}

func (p *fakeProbes) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	p.last = r
	host := r.URL.Host
	p.seen[host] = append(p.seen[host], time.Now())
	status, ok := p.statuses[host]
	p.mu.Unlock()
	if !ok {
		status = 200
	}
	switch status {
	case 0:
		return nil, errors.New("refused")
	case -1:
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return &http.Response{Status: fmt.Sprint(status), StatusCode: status, Header: http.Header{"Location": {"http://other/"}},
		Body: io.NopCloser(strings.NewReader("")), Request: r}, nil
}

func (p *fakeProbes) set(host string, status int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.statuses[host] = status
}

func (p *fakeProbes) times(host string) []time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen[host]
}

// newChecked is a bench whose probes are answered by fakeProbes.
func newChecked(t *testing.T) (*bench, *fakeProbes) {
	b, p := newBench(t), &fakeProbes{statuses: map[string]int{}, seen: map[string][]time.Time{}}
	b.options.Probes = func(*Transport, bool) (http.RoundTripper, error) { return p, nil }
	return b, p
}

func TestActiveHealthCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, probes := newChecked(t)
		var log bytes.Buffer
		b.options.Logger = slog.New(slog.NewTextHandler(&log, nil))
		probes.set("a", 0)
		probes.set("b", 500)
		s := b.balancer("web@file", LoadBalancer{Servers: servers("a", "b", "c"), HealthCheck: &HealthCheck{
			Interval: 10 * time.Second, UnhealthyInterval: 2 * time.Second,
		}})
		if got := gets(s, 9); len(got) != 3 {
			t.Errorf("got %v before the first probe: servers are up until one fails", got)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := gets(s, 9); !maps.Equal(got, map[string]int{"200 c": 9}) {
			t.Errorf("got %v", got)
		}
		if st := s.Status(); st["http://a"] != StatusDown || st["http://b"] != StatusDown || st["http://c"] != StatusUp || !s.Healthy() {
			t.Errorf("%v", st)
		}
		probes.set("c", -1)
		time.Sleep(17 * time.Second)
		if got := get(s); got != "503" || s.Healthy() || !s.Checked() {
			t.Errorf("got %s with no server up", got)
		}
		for _, h := range []string{"a", "b", "c"} {
			probes.set(h, 302)
		}
		time.Sleep(8 * time.Second)
		synctest.Wait()
		if got := gets(s, 9); len(got) != 3 || !s.Healthy() {
			t.Errorf("got %v with all up again", got)
		}
		down, up := probes.times("a"), probes.times("c")
		for i := 1; i < 8; i++ {
			if d := down[i].Sub(down[i-1]); d < 1900*time.Millisecond || d > 2100*time.Millisecond {
				t.Errorf("%v between probes of a server that is down", d)
			}
		}
		if d := up[1].Sub(up[0]); d < 9500*time.Millisecond || d > 10500*time.Millisecond {
			t.Errorf("%v between probes of a server that is up", d)
		}
		for _, want := range []string{
			`msg="a server is down" service=web@file server=http://a error="Get \"http://a\": refused"`,
			`server=http://b error="the server answered 500"`, `deadline`, `msg="a server is up again" service=web@file server=http://c`,
		} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("the log lacks %s:\n%s", want, log.String())
			}
		}
	})
}

func TestHealthCheckStopsWithItsService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, probes := newChecked(t)
		probes.set("a", -1)
		s, err := b.LoadBalancer("web@file", LoadBalancer{Servers: servers("a"), HealthCheck: &HealthCheck{}})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second) // within a probe
		s.Close()
		time.Sleep(time.Hour)
		if n := len(probes.times("a")); n != 1 {
			t.Errorf("%d probes", n)
		}
		// The test fails here, too, if a goroutine is left in the bubble.
	})
}

// What a check found outlives a reload that checks, and is forgotten by one that does not.
func TestHealthOverReloads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, probes := newChecked(t)
		probes.set("a", 500)
		c := LoadBalancer{Servers: servers("a", "b"), HealthCheck: &HealthCheck{}}
		before := b.balancer("web@file", c)
		time.Sleep(2 * time.Second)
		after := b.balancer("web@file", c)
		before.Close()
		if got := gets(after, 4); got["200 b"] != 4 {
			t.Errorf("got %v right after a reload", got)
		}
		c.PassHostHeader = true // other connections to the same server
		before, after = after, b.balancer("web@file", c)
		before.Close()
		if got := gets(after, 4); got["200 b"] != 4 {
			t.Errorf("got %v right after a reload with other settings", got)
		}
		c.HealthCheck = nil
		unchecked := b.balancer("web@file", c)
		if got := gets(unchecked, 4); got["200 a"] != 2 || unchecked.Status()["http://a"] != StatusUp {
			t.Errorf("got %v, %v without a check", got, unchecked.Status())
		}
		after.Close()
		if e := unchecked.(*loadBalancer).members[0].endpoint; !e.up() {
			t.Error("the verdict of a check that is gone stays")
		}
	})
}

func TestProbe(t *testing.T) {
	b, probes := newChecked(t)
	for _, c := range []struct {
		check  HealthCheck
		server string
		want   string
	}{
		{HealthCheck{}, "http://a:81/base", "GET http://a:81/base Host="},
		{HealthCheck{Path: "/health?x=1", Method: "head"}, "http://a:81/base", "HEAD http://a:81/health?x=1 Host="},
		{HealthCheck{Scheme: "https", Port: 8443, Hostname: "h.example", Path: "ok"}, "http://[::1]:81", "GET https://[::1]:8443/ok Host=h.example"},
		{HealthCheck{Headers: map[string]string{"x-one": "1", "host": "by.header"}}, "http://a", "GET http://a Host=by.header X-One=1"},
	} {
		k, err := b.newChecker(&c.check, DefaultTransport)
		if err != nil {
			t.Fatal(err)
		}
		if err := k.probe(t.Context(), &endpoint{url: c.server}); err != nil {
			t.Error(err)
		}
		r := probes.last
		got := fmt.Sprintf("%s %s Host=%s", r.Method, r.URL, r.Host)
		if v := r.Header.Get("X-One"); v != "" {
			got += " X-One=" + v
		}
		if got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

func TestProbeStatus(t *testing.T) {
	b, probes := newChecked(t)
	probes.set("other", 404)
	for _, c := range []struct {
		check   HealthCheck
		status  int
		healthy bool
	}{
		{HealthCheck{}, 204, true}, {HealthCheck{}, 399, true}, {HealthCheck{}, 400, false}, {HealthCheck{}, 301, true},
		{HealthCheck{Status: 418}, 418, true}, {HealthCheck{Status: 418}, 200, false},
		{HealthCheck{FollowRedirects: true}, 301, false}, // to what is not found
	} {
		k, err := b.newChecker(&c.check, DefaultTransport)
		if err != nil {
			t.Fatal(err)
		}
		probes.set("a", c.status)
		if err := k.probe(t.Context(), &endpoint{url: "http://a"}); (err == nil) != c.healthy {
			t.Errorf("%+v, status %d: %v", c.check, c.status, err)
		}
	}
}

// Over real connections, verified as the service's own.
func TestProbeOverTLS(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {}))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	defer server.Close()
	b := newBench(t)
	for _, c := range []struct {
		tls  TLS
		want string
	}{
		{TLS{}, "certificate"},
		{TLS{RootCAs: []string{string(certtest.CertificatePEM(server.Certificate()))}}, ""},
		{TLS{InsecureSkipVerify: true}, ""},
		{TLS{InsecureSkipVerify: true, PeerDNSNames: []string{"else.example"}}, "carries none of else.example"},
	} {
		k, err := b.newChecker(&HealthCheck{}, &Transport{TLS: c.tls})
		if err != nil {
			t.Fatal(err)
		}
		err = k.probe(t.Context(), &endpoint{url: server.URL})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v: %v, want %q", c.tls, err, c.want)
		}
	}
}
