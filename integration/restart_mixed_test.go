//go:build linux

package integration

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"

	"github.com/pergola-mesh/pergola/integration/harness"
	"github.com/pergola-mesh/pergola/internal/nettest"
	"github.com/pergola-mesh/pergola/internal/whoami"
)

// mixed is a gateway with clients of every protocol.
type mixed struct {
	*harness.Gateway
	t         *testing.T
	authority *harness.Authority
	tcp, udp  string // addresses
	sessions  map[string]*frozenSession
	loads     map[string]*harness.Load
	full      atomic.Int64 // connections that should have been resumed and were not
	resumed   atomic.Int64
}

// startMixed starts everyProtocol, with that grace, before servers of the test.
func startMixed(t *testing.T, grace string) *mixed {
	t.Helper()
	m := prepareMixed(t, grace)
	m.Run()
	return m
}

func prepareMixed(t *testing.T, grace string) *mixed {
	t.Helper()
	m := &mixed{t: t, authority: harness.NewAuthority(t), tcp: harness.FreeAddress(t), udp: harness.FreeAddress(t), loads: map[string]*harness.Load{}}
	echo := func(c net.Conn) {
		c.SetDeadline(time.Time{})
		io.Copy(c, c)
	}
	passed := m.authority.Issue("passed.test").Certificate
	g := harness.Prepare(t, everyProtocol, harness.Vars{"GRACE": grace, "TCP": m.tcp, "UDP": m.udp, "BACKEND": harness.Serve(t, mirroring()),
		"ECHO": nettest.Serve(t, echo), "DATAGRAMS": backendUDP(t), "PASSED": nettest.Serve(t, func(c net.Conn) {
			s := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{passed}})
			io.Copy(s, s)
			s.Close()
		})})
	g.WritePair("cert.pem", "key.pem", m.authority.Issue("a.test", "mtls.test", "ended.test"))
	g.Write("ca.pem", m.authority.PEM)
	g.WritePair("client.pem", "client.key", m.authority.Issue("client.test"))
	m.Gateway = g
	return m
}

// mirroring is the demonstration backend, with /mirror, which sends back what it gets while it gets it.
func mirroring() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", whoami.New("one"))
	mux.HandleFunc("/mirror", func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		control.EnableFullDuplex()
		control.Flush()
		buf := make([]byte, 64<<10)
		for {
			n, err := r.Body.Read(buf)
			w.Write(buf[:n])
			control.Flush()
			if err == io.EOF {
				return
			} else if err != nil {
				panic(http.ErrAbortHandler)
			}
		}
	})
	return mux
}

// config is a client's, for a host.
func (m *mixed) config(host string) *tls.Config {
	return &tls.Config{RootCAs: m.authority.Pool(), ServerName: host}
}

// keepSessions makes a session of each version with the first process, which is asked for again and again, and
// one of a client that has shown its certificate.
func (m *mixed) keepSessions() {
	client, err := tls.LoadX509KeyPair(filepath.Join(m.Dir, "client.pem"), filepath.Join(m.Dir, "client.key"))
	if err != nil {
		m.t.Fatal(err)
	}
	m.sessions = map[string]*frozenSession{}
	for _, s := range []*frozenSession{
		{name: "TLS 1.2", config: m.config("a.test"), version: tls.VersionTLS12},
		{name: "TLS 1.3", config: m.config("a.test"), version: tls.VersionTLS13},
		{name: "QUIC", config: m.config("a.test"), version: tls.VersionTLS13, quic: true},
		{name: "TLS 1.2 with a certificate", config: m.config("mtls.test"), version: tls.VersionTLS12},
		{name: "TLS 1.3 with a certificate", config: m.config("mtls.test"), version: tls.VersionTLS13},
		{name: "QUIC with a certificate", config: m.config("mtls.test"), version: tls.VersionTLS13, quic: true},
	} {
		s.config.MinVersion, s.config.MaxVersion, s.config.ClientSessionCache = s.version, s.version, s
		s.config.Certificates = []tls.Certificate{client}
		if s.connect(m.t, m.Web) {
			m.t.Fatalf("%s: the first connection is resumed", s.name)
		}
		s.config.Certificates = nil // from now on the session alone tells who the client is
		m.sessions[s.name] = s
	}
}

// resume resumes each session with the process that serves now.
func (m *mixed) resume(pid int) {
	for name, s := range m.sessions {
		if !s.connect(m.t, m.Web) {
			m.t.Errorf("%s: a session of the first process is not resumed by process %d", name, pid)
		}
	}
}

// openTunnels opens a WebSocket over each version of HTTP, and a connection of TCP.
func (m *mixed) openTunnels() []socket {
	return []socket{dialOne(m.t, m.Web), dialTwo(m.t, m.Web), dialThree(m.t, m.Web, m.config("a.test")), dialTCP(m.t, m.tcp)}
}

// request is one for a.test.
func (m *mixed) request(method, scheme, path string, body io.Reader, close bool) *http.Request {
	r, err := http.NewRequest(method, scheme+"://"+m.Web+path, body)
	if err != nil {
		panic(err)
	}
	r.Host, r.Close = "a.test", close
	return r
}

// begin puts all under load.
func (m *mixed) begin() {
	request := func(scheme string, body []byte, close bool) func() *http.Request {
		return func() *http.Request {
			if body == nil {
				return m.request("GET", scheme, "/", nil, close)
			}
			return m.request("POST", scheme, "/", bytes.NewReader(body), close)
		}
	}
	const fresh, kept = true, false // a connection for each request, or one for many
	ok := harness.WantStatus(200)
	count := func(response *http.Response, body []byte) error {
		if response.TLS.DidResume {
			m.resumed.Add(1)
		} else {
			m.full.Add(1)
		}
		return ok(response, body)
	}
	resuming, multiplexed := m.config("a.test"), m.config("a.test")
	resuming.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	multiplexed.NextProtos = []string{"h2"}
	post := make([]byte, 2000)
	three := &http3.Transport{TLSClientConfig: m.config("a.test")}
	m.t.Cleanup(func() { three.Close() })

	m.loads["HTTP/1.1"] = harness.NewLoad(m.t, 2, request("http", nil, fresh), ok)
	m.loads["HTTP/1.1, kept"] = harness.NewLoad(m.t, 2, request("http", post, kept), ok)
	m.loads["TLS, full handshakes"] = harness.NewTLSLoad(m.t, 1, m.config("a.test"), request("https", nil, fresh), ok)
	m.loads["TLS, resumed"] = harness.NewTLSLoad(m.t, 1, resuming, request("https", nil, fresh), count)
	m.loads["TLS, kept"] = harness.NewTLSLoad(m.t, 1, m.config("a.test"), request("https", nil, kept), ok)
	m.loads["HTTP/2"] = harness.NewTLSLoad(m.t, 1, multiplexed, request("https", nil, fresh), ok)
	m.loads["HTTP/2, kept"] = harness.NewTLSLoad(m.t, 2, multiplexed, request("https", post, kept), ok)
	m.loads["HTTP/3"] = harness.Repeat(m.t, 2, m.askOnce)
	m.loads["HTTP/3, kept"] = harness.NewLoadOver(m.t, 1, three, request("https", nil, kept), ok)
	m.loads["TCP"] = harness.Repeat(m.t, 1, hello("tcp", m.tcp, nil))
	m.loads["TLS that passes through"] = harness.Repeat(m.t, 1, hello("tcp", m.Web, m.config("passed.test")))
	m.loads["TLS that ends here"] = harness.Repeat(m.t, 1, hello("tcp", m.Web, m.config("ended.test")))
	m.loads["UDP"] = harness.Repeat(m.t, 1, m.datagrams())
}

// askOnce makes a QUIC connection for one request.
func (m *mixed) askOnce() error {
	transport := &http3.Transport{TLSClientConfig: m.config("a.test")}
	defer transport.Close()
	response, err := (&http.Client{Transport: transport, Timeout: harness.Patience}).Do(m.request("GET", "https", "/status/204", nil, true))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	if err == nil && response.StatusCode != 204 {
		err = errors.New(response.Status)
	}
	return err
}

// hello makes a connection on which a word is sent and comes back.
func hello(network, address string, secure *tls.Config) func() error {
	return func() error {
		if got := echoed(network, address, secure); got != "hello" {
			return errors.New(got)
		}
		return nil
	}
}

// datagrams sends datagrams from one address, each of which must be answered.
func (m *mixed) datagrams() func() error {
	conn, err := net.Dial("udp", m.udp)
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { conn.Close() })
	n, buf := 0, make([]byte, 100)
	return func() error {
		n++
		conn.SetDeadline(time.Now().Add(harness.Patience))
		fmt.Fprint(conn, "datagram ", n)
		if size, err := conn.Read(buf); err != nil || string(buf[:size]) != fmt.Sprint("datagram ", n) {
			return fmt.Errorf("datagram %d: %q, %v", n, buf[:size], err)
		}
		return nil
	}
}

// awaitSome waits until each load has done a few things more.
func (m *mixed) awaitSome() {
	m.t.Helper()
	marks := map[string]int64{}
	for name, load := range m.loads {
		marks[name] = load.Done.Load() + 3
	}
	for name, load := range m.loads {
		harness.Eventually(m.t, "load: "+name, func() bool { return load.Done.Load() >= marks[name] })
	}
}

// mustNotFail stops the loads and fails the test when anything failed.
func (m *mixed) mustNotFail(least int64) {
	m.t.Helper()
	for name, load := range m.loads {
		m.t.Run(name, func(t *testing.T) {
			load.MustNotFail(t, least)
			t.Logf("%d without a failure", load.Done.Load())
		})
	}
	// The worker's first connection has nothing to resume.
	if m.t.Logf("%d connections resumed, %d not", m.resumed.Load(), m.full.Load()); m.full.Load() > 1 {
		m.t.Errorf("%d connections were full handshakes beside %d that were not", m.full.Load(), m.resumed.Load())
	}
}
