//go:build linux

package acme

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/config/static"
	"github.com/pergola-mesh/pergola/identity"
	"github.com/pergola-mesh/pergola/identity/acme/storage"
	"github.com/pergola-mesh/pergola/integration/harness"
	"github.com/pergola-mesh/pergola/internal/waittest"
)

// edge is what an authority sees of a gateway: ports 80 and 443.
type edge struct {
	http, tls string

	mu       sync.Mutex
	services []*Service // asked in turn, as by a balancer in front of several gateways
	turn     int
}

func newEdge(t *testing.T) *edge {
	e := &edge{}
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	secure, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{NextProtos: []string{"acme-tls/1"}, GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if s := e.next(); s != nil {
			return s.Challenge(h)
		}
		return nil, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	e.http, e.tls = plain.Addr().String(), secure.Addr().String()
	server := &http.Server{Handler: e}
	go server.Serve(plain)
	go func() {
		for {
			conn, err := secure.Accept()
			if err != nil {
				return
			}
			go func() {
				conn.(*tls.Conn).Handshake()
				conn.Close()
			}()
		}
	}()
	t.Cleanup(func() {
		server.Close()
		secure.Close()
	})
	return e
}

func (e *edge) next() *Service {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.services) == 0 {
		return nil
	}
	e.turn++
	return e.services[e.turn%len(e.services)]
}

// only leaves the given services to be asked.
func (e *edge) only(services []*Service) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.services = services
}

func (e *edge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host, _, _ := net.SplitHostPort(r.Host)
	if s := e.next(); s != nil {
		if proof, ok := s.Answer(r.Context(), host, strings.TrimPrefix(r.URL.Path, "/.well-known/acme-challenge/")); ok {
			w.Write([]byte(proof))
			return
		}
	}
	http.NotFound(w, r)
}

// run is a Service at work, and what came of it.
type run struct {
	*Service
	log *waittest.Buffer

	mu     sync.Mutex
	served map[string][]*identity.Certificate
	orders []error
}

func start(t *testing.T, e *edge, config *static.ACME, wants ...[]string) *run {
	t.Helper()
	r := &run{log: &waittest.Buffer{}, served: map[string][]*identity.Certificate{}}
	var err error
	r.Service, err = New(Options{
		Resolvers: map[string]*static.CertificateResolver{"ca": {ACME: config}},
		Publish: func(resolver string, certificates []*identity.Certificate) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.served[resolver] = certificates
		},
		Ordered: func(_ string, err error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.orders = append(r.orders, err)
		},
		Logger: slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	e.mu.Lock()
	e.services = append(e.services, r.Service)
	e.mu.Unlock()
	var all []identity.Wanted
	for _, names := range wants {
		all = append(all, identity.Wanted{Resolver: "ca", Domains: names, Router: "test@file"})
	}
	r.Want(all, nil)
	r.Start()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), harness.Patience)
		defer cancel()
		r.Stop(ctx)
		if t.Failed() {
			t.Logf("log:\n%s", r.log)
		}
	})
	return r
}

// await waits until a certificate for the name is served, and returns it.
func (r *run) await(t *testing.T, name string) *x509.Certificate {
	t.Helper()
	var found *x509.Certificate
	harness.Eventually(t, "a certificate for "+name, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, c := range r.served["ca"] {
			if c.Leaf().VerifyHostname(name) == nil {
				found = c.Leaf()
			}
		}
		return found != nil
	})
	return found
}

func (r *run) ordered() (ok, failed int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, err := range r.orders {
		if err == nil {
			ok++
		} else {
			failed++
		}
	}
	return ok, failed
}

func configFor(t *testing.T, p *harness.Pebble) *static.ACME {
	c := &static.ACME{}
	c.SetDefaults()
	c.Email, c.CAServer, c.CACertificates = "ops@example.test", p.Directory, []string{p.CAFile}
	c.Storage = filepath.Join(t.TempDir(), "acme.json")
	return c
}

func TestHTTP01(t *testing.T) {
	e := newEdge(t)
	p := harness.StartPebble(t, harness.PebbleOptions{HTTP: e.http, TLS: e.tls})
	config := configFor(t, p)
	config.HTTPChallenge = &static.HTTPChallenge{EntryPoint: "web"}
	r := start(t, e, config, []string{"a.example.test", "B.example.test"}, []string{"c.example.test"})
	c := r.await(t, "b.example.test")
	if c.VerifyHostname("a.example.test") != nil {
		t.Errorf("the names of one router are in several certificates: %v", c.DNSNames)
	}
	r.await(t, "c.example.test")

	// The file is Traefik's, and for its owner alone.
	f, err := storage.OpenFile(config.Storage)
	if err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, "both to be saved", func() bool {
		data, _, err := f.Load(t.Context(), "ca", "")
		return err == nil && len(data.Certificates) == 2
	})
	if err := verify(p, config, "b.example.test"); err != nil {
		t.Error(err)
	}
	info, err := os.Stat(config.Storage)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info.Mode(), err)
	}
	text, err := os.ReadFile(config.Storage)
	if err != nil {
		t.Fatal(err)
	}
	var stored map[string]struct {
		Account struct {
			Registration struct{ URI string }
			PrivateKey   []byte
		}
		Certificates []struct {
			Domain           struct{ Main string }
			Certificate, Key []byte
			Store            string
		}
	}
	if err := json.Unmarshal(text, &stored); err != nil {
		t.Fatal(err)
	}
	ca := stored["ca"]
	if len(ca.Certificates) != 2 || ca.Account.Registration.URI == "" || ca.Certificates[0].Store != "default" || ca.Certificates[0].Domain.Main == "" {
		t.Errorf("stored: %s", text)
	}
	// Nothing secret is in the log, at any level.
	if log := r.log.String(); strings.Contains(log, "PRIVATE KEY") {
		t.Error("a key is in the log")
	}

	// Another start orders nothing.
	ctx, cancel := context.WithTimeout(t.Context(), harness.Patience)
	defer cancel()
	r.Stop(ctx)
	e.only(nil)
	again := start(t, e, config, []string{"a.example.test", "b.example.test"}, []string{"c.example.test"})
	if c := again.await(t, "a.example.test"); len(c.DNSNames) != 2 {
		t.Errorf("%v", c.DNSNames)
	}
	again.await(t, "c.example.test")
	if ok, failed := again.ordered(); ok+failed != 0 {
		t.Errorf("%d and %d orders after a restart", ok, failed)
	}
}

// verify checks the stored certificate of a name as a client would.
func verify(p *harness.Pebble, config *static.ACME, name string) error {
	s, err := storage.Open(config.Storage)
	if err != nil {
		return err
	}
	defer s.Close()
	data, _, err := s.Load(context.Background(), "ca", "")
	if err != nil {
		return err
	}
	for _, stored := range data.Certificates {
		pair, err := tls.X509KeyPair(stored.Certificate, stored.Key)
		if err != nil {
			return err
		}
		if !slices.Contains(pair.Leaf.DNSNames, name) {
			continue
		}
		o := x509.VerifyOptions{Roots: p.Roots(), Intermediates: x509.NewCertPool()}
		o.Intermediates.AppendCertsFromPEM(stored.Certificate)
		_, err = pair.Leaf.Verify(o)
		return err
	}
	return fmt.Errorf("no certificate for %s is stored", name)
}

func TestTLSALPN01(t *testing.T) {
	e := newEdge(t)
	p := harness.StartPebble(t, harness.PebbleOptions{HTTP: e.http, TLS: e.tls,
		Profiles: map[string]time.Duration{"default": 90 * 24 * time.Hour, "short": 6 * 24 * time.Hour}})
	config := configFor(t, p)
	config.TLSChallenge, config.KeyType, config.Profile = &static.TLSChallenge{}, "RSA2048", "short"
	r := start(t, e, config, []string{"alpn.example.test"})
	c := r.await(t, "alpn.example.test")
	harness.Eventually(t, "a good certificate in the storage", func() bool { return verify(p, config, "alpn.example.test") == nil })
	if life := c.NotAfter.Sub(c.NotBefore).Round(time.Hour); life != 6*24*time.Hour {
		t.Errorf("the profile was not heeded: it lives %s", life)
	}
}

func TestDNS01(t *testing.T) {
	e := newEdge(t)
	p := harness.StartPebble(t, harness.PebbleOptions{HTTP: e.http, TLS: e.tls})
	// What httpreq talks to: it sets records as it is told.
	endpoint := harness.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var record struct{ FQDN, Value string }
		err := json.NewDecoder(r.Body).Decode(&record)
		if err == nil && r.URL.Path == "/present" {
			err = p.SetTXT(record.FQDN, record.Value)
		} else if err == nil {
			err = p.ClearTXT(record.FQDN)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	}))
	t.Setenv("HTTPREQ_ENDPOINT", endpoint)
	t.Setenv("HTTPREQ_POLLING_INTERVAL", "1")
	config := configFor(t, p)
	config.DNSChallenge = &static.DNSChallenge{Provider: "httpreq", Resolvers: []string{p.DNS},
		Propagation: &static.DNSPropagation{DisableANSChecks: true, RequireAllRNS: true}}
	r := start(t, e, config, []string{"*.wild.example.test"}, []string{"one.wild.example.test"})
	c := r.await(t, "one.wild.example.test")
	harness.Eventually(t, "a good certificate in the storage", func() bool { return verify(p, config, "*.wild.example.test") == nil })
	if !slices.Equal(c.DNSNames, []string{"*.wild.example.test"}) {
		t.Errorf("a name that the wildcard covers was ordered too: %v", c.DNSNames)
	}
}

func TestExternalAccountBinding(t *testing.T) {
	e := newEdge(t)
	const key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
	p := harness.StartPebble(t, harness.PebbleOptions{HTTP: e.http, TLS: e.tls, Binding: map[string]string{"kid-1": key}})
	config := configFor(t, p)
	config.HTTPChallenge = &static.HTTPChallenge{EntryPoint: "web"}
	without := start(t, e, config, []string{"eab.example.test"})
	harness.Eventually(t, "the refusal", func() bool {
		return strings.Contains(without.log.String(), "set eab.kid and eab.hmacEncoded")
	})
	e.only(nil)
	bound := configFor(t, p)
	bound.HTTPChallenge, bound.EAB = config.HTTPChallenge, &static.EAB{Kid: "kid-1", HmacEncoded: key}
	r := start(t, e, bound, []string{"eab.example.test"})
	r.await(t, "eab.example.test")
	if strings.Contains(r.log.String(), key) {
		t.Error("the binding's key is in the log")
	}
}

func TestRenewal(t *testing.T) {
	e := newEdge(t)
	p := harness.StartPebble(t, harness.PebbleOptions{HTTP: e.http, TLS: e.tls, Profiles: map[string]time.Duration{"default": 9 * time.Second}})
	config := configFor(t, p)
	config.HTTPChallenge = &static.HTTPChallenge{EntryPoint: "web"}
	r := start(t, e, config, []string{"short.example.test"})
	first := r.await(t, "short.example.test")
	var second *x509.Certificate
	harness.Eventually(t, "the renewal", func() bool {
		second = r.await(t, "short.example.test")
		return second != first
	})
	// When the order was begun is ours; how long the authority and the client's polling then take is not.
	_, after, _ := strings.Cut(r.log.String(), "renewal=false")
	renewal := regexp.MustCompile(`time=(\S+) .*msg="ordering a certificate".* renewal=true`).FindStringSubmatch(after)
	if renewal == nil {
		t.Fatal("no renewal in the log")
	}
	if began, err := time.Parse(time.RFC3339, renewal[1]); err != nil || !began.Before(first.NotAfter) {
		t.Errorf("the renewal began at %s (%v), the certificate ended at %s", renewal[1], err, first.NotAfter)
	}
	f, err := storage.OpenFile(config.Storage)
	if err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, "the storage to hold the newer one alone", func() bool {
		data, _, err := f.Load(t.Context(), "ca", "")
		return err == nil && len(data.Certificates) == 1 && !bytes.Equal(data.Certificates[0].Certificate, first.Raw)
	})
}
