package h3

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/pergola-mesh/pergola/internal/certtest"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
	"github.com/pergola-mesh/pergola/proxy/fields"
	"github.com/pergola-mesh/pergola/proxy/listen"
)

// patience bounds every wait for what ought to happen soon.
const patience = 20 * time.Second

// site is a server under test, and what it has told.
type site struct {
	*Server
	t    testing.TB
	addr net.Addr
	over chan struct{} // closed when Serve has returned

	mu      sync.Mutex
	rules   []string
	records []record
	changed chan struct{}
}

// record is what an observer saw of an exchange.
type record struct {
	method, host, path string
	status             int
	in, out            int64
	kind               exchange.Kind
	failed             bool
}

// start serves h until the test ends. change may set the server up differently.
func start(t testing.TB, h exchange.Handler, change ...func(*Server)) *site {
	t.Helper()
	s := &site{t: t, over: make(chan struct{}), changed: make(chan struct{}, 1)}
	s.Server = &Server{
		Handler: h, Observer: s, Limits: fields.DefaultLimits, Timeouts: listen.DefaultTimeouts, Streams: 100,
		TLS: serverTLS(t), EntryPoint: "web", Logger: slog.New(slog.DiscardHandler),
		Refused: func(rule string) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.rules = append(s.rules, rule)
		},
	}
	for _, f := range change {
		f(s.Server)
	}
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = pc.LocalAddr()
	go func() {
		defer close(s.over)
		if err := s.Serve(pc); err != nil {
			t.Errorf("serve: %v", err)
		}
	}()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Kill(ctx); err != nil {
			t.Errorf("kill: %v, %d connections left", err, s.Active())
		}
		select {
		case <-s.over:
		case <-ctx.Done():
			t.Error("Serve did not return")
		}
	})
	return s
}

// Observe is exchange.Observer.
func (s *site) Observe(x *exchange.Exchange) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records = append(s.records, record{x.Request.Method, string(x.Request.Host), string(x.Request.Path),
		x.Response.Status, x.Record.RequestBytes, x.Record.ResponseBytes, x.Record.Kind, x.Record.Failed})
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// record waits for the next exchange to end.
func (s *site) record() (r record) {
	s.t.Helper()
	late := time.After(patience)
	for {
		s.mu.Lock()
		if len(s.records) > 0 {
			r, s.records = s.records[0], s.records[1:]
			s.mu.Unlock()
			return r
		}
		s.mu.Unlock()
		select {
		case <-s.changed:
		case <-late:
			s.t.Fatal("no exchange has ended")
		}
	}
}

// refusedFor reports whether a message was refused for a rule.
func (s *site) refusedFor(rule string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.rules, rule)
}

var serverCertificate = sync.OnceValue(func() tls.Certificate { return certtest.SelfSigned([]string{"localhost"}) })

func serverTLS(testing.TB) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{serverCertificate()}, NextProtos: []string{Protocol}, MinVersion: tls.VersionTLS13}
}

func clientTLS() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, ServerName: "localhost", NextProtos: []string{Protocol}}
}

// client is an HTTP/3 client that sends everything to s.
func (s *site) client() *http.Client {
	tr := &http3.Transport{TLSClientConfig: clientTLS(), DisableCompression: true,
		Dial: func(ctx context.Context, _ string, tc *tls.Config, qc *quic.Config) (*quic.Conn, error) {
			return quic.DialAddr(ctx, s.addr.String(), tc, qc)
		}}
	s.t.Cleanup(func() { tr.Close() })
	return &http.Client{Transport: tr, Timeout: patience}
}

// get fetches a path.
func (s *site) get(c *http.Client, path string) (status int, body string) {
	s.t.Helper()
	r, err := c.Get("https://localhost" + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return r.StatusCode, string(text)
}

// echo answers with the request's body, method and path.
var echo = exchange.HandlerFunc(func(x *exchange.Exchange) error {
	body, err := exchangetest.ReadAll(nil, x.Request.Body, 1<<20)
	if err != nil {
		return err
	}
	text := strings.Join([]string{x.Request.Method, string(x.Request.Host), string(x.Request.Path), string(body)}, " ")
	x.Respond(200, "text/plain", []byte(text))
	return nil
})

// isStreamError reports an error by which the peer reset a stream with a code.
func isStreamError(err error, code quic.StreamErrorCode) bool {
	var e *quic.StreamError
	return isRemote(err) && errors.As(err, &e) && e.ErrorCode == code
}

// isRemote reports an error by which the peer reset a stream.
func isRemote(err error) bool {
	var e *quic.StreamError
	return errors.As(err, &e) && e.Remote
}
