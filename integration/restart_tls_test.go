//go:build linux

package integration

import (
	"crypto/tls"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pergola-mesh/pergola/integration/harness"
)

// TestRestartTLS upgrades the gateway with SIGUSR2 again and again under load over TLS: clients that make
// a full handshake for each request, clients that resume, and clients that keep their connections, over
// HTTP/1.1 and HTTP/2. None is refused, no request fails, and sessions are resumed by every later process,
// so that a restart does not bring a storm of full handshakes.
func TestRestartTLS(t *testing.T) {
	const restarts = 20
	g, authority := startTLSWith(t, strings.Replace(overTLS, "entryPoints:", "restart: {socket: $DIR/restart.sock}\nentryPoints:", 1))
	next := func(host string, close bool) func() *http.Request {
		return func() *http.Request {
			r, err := http.NewRequest("GET", "https://"+g.Web+"/", nil)
			if err != nil {
				panic(err)
			}
			r.Host, r.Close = host, close
			return r
		}
	}
	config := func(host string) *tls.Config { return &tls.Config{RootCAs: authority.Pool(), ServerName: host} }

	// One session of the first process for each version, which are asked for again and again; and one of a
	// client that has shown its certificate.
	client, err := tls.LoadX509KeyPair(filepath.Join(g.Dir, "client.pem"), filepath.Join(g.Dir, "client.key"))
	if err != nil {
		t.Fatal(err)
	}
	sessions := map[string]*frozenSession{}
	for _, s := range []*frozenSession{
		{name: "TLS 1.2", config: config("a.test"), version: tls.VersionTLS12},
		{name: "TLS 1.3", config: config("a.test"), version: tls.VersionTLS13},
		{name: "TLS 1.2 with a certificate", config: config("mtls.test"), version: tls.VersionTLS12},
		{name: "TLS 1.3 with a certificate", config: config("mtls.test"), version: tls.VersionTLS13},
	} {
		s.config.MinVersion, s.config.MaxVersion, s.config.ClientSessionCache = s.version, s.version, s
		s.config.Certificates = []tls.Certificate{client}
		if s.connect(t, g.Web) {
			t.Fatalf("%s: the first connection is resumed", s.name)
		}
		s.config.Certificates = nil // from now on the session alone tells who the client is
		sessions[s.name] = s
	}

	var full, resumed atomic.Int64
	count := func(response *http.Response, body []byte) error {
		if response.TLS.DidResume {
			resumed.Add(1)
		} else {
			full.Add(1)
		}
		return harness.WantStatus(200)(response, body)
	}
	resuming := config("a.test")
	resuming.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	multiplexed := config("a.test")
	multiplexed.NextProtos = []string{"h2"}
	loads := map[string]*harness.Load{
		"full handshakes":    harness.NewTLSLoad(t, 2, config("a.test"), next("a.test", true), harness.WantStatus(200)),
		"resumed sessions":   harness.NewTLSLoad(t, 2, resuming, next("a.test", true), count),
		"kept, HTTP/1.1":     harness.NewTLSLoad(t, 2, config("a.test"), next("a.test", false), harness.WantStatus(200)),
		"kept, HTTP/2":       harness.NewTLSLoad(t, 2, multiplexed, next("a.test", false), harness.WantStatus(200)),
		"handshakes, HTTP/2": harness.NewTLSLoad(t, 1, multiplexed, next("a.test", true), harness.WantStatus(200)),
	}
	u := g.Upgrading()
	for range restarts {
		u.Next()
		for name, s := range sessions {
			if !s.connect(t, g.Web) {
				t.Errorf("%s: a session of the first process is not resumed by process %d", name, u.Pid())
			}
		}
		marks := map[string]int64{}
		for name, load := range loads {
			marks[name] = load.Done.Load()
		}
		harness.Eventually(t, "requests of every kind", func() bool {
			for name, load := range loads {
				if load.Done.Load() < marks[name]+3 {
					return false
				}
			}
			return true
		})
	}
	for name, load := range loads {
		t.Logf("%s: %d requests over %d restarts", name, load.Done.Load(), restarts)
		load.MustNotFail(t, 3*restarts)
	}
	// The workers' first connections have nothing to resume.
	t.Logf("%d connections resumed, %d not", resumed.Load(), full.Load())
	if full.Load() > 2 {
		t.Errorf("%d connections were full handshakes beside %d that were not", full.Load(), resumed.Load())
	}
	u.End()
}

// frozenSession is a cache of sessions that keeps the first it is given, of whatever server.
type frozenSession struct {
	name    string
	config  *tls.Config
	version uint16
	first   *tls.ClientSessionState
}

func (s *frozenSession) Get(string) (*tls.ClientSessionState, bool) { return s.first, s.first != nil }

func (s *frozenSession) Put(_ string, state *tls.ClientSessionState) {
	if s.first == nil {
		s.first = state
	}
}

// connect makes a connection and a request, and reports whether the session was resumed.
func (s *frozenSession) connect(t *testing.T, address string) bool {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: s.config, DisableKeepAlives: true}
	request, err := http.NewRequest("GET", "https://"+address+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = s.config.ServerName
	response, err := (&http.Client{Transport: transport, Timeout: harness.Patience}).Do(request)
	if err != nil {
		t.Fatalf("%s: %v", s.name, err)
	}
	response.Body.Close()
	if response.StatusCode != 200 {
		t.Errorf("%s: %s", s.name, response.Status)
	}
	return response.TLS.DidResume
}
