package app

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/config/load"
	"github.com/pergola-mesh/pergola/config/static"
	"github.com/pergola-mesh/pergola/identity/spiffe/spiffetest"
	"github.com/pergola-mesh/pergola/internal/waittest"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
	"github.com/pergola-mesh/pergola/proxy/snapshot"
	"github.com/pergola-mesh/pergola/proxy/upstream"
)

// identified is a server with a SPIFFE identity, for clients with one alone.
type identified struct {
	url  string
	id   atomic.Pointer[x509svid.SVID]
	rest chan struct{} // what the second half of /slow waits for
	// made and closed count connections.
	made, closed atomic.Int32
}

// GetX509SVID is the identity of the moment.
func (s *identified) GetX509SVID() (*x509svid.SVID, error) { return s.id.Load(), nil }

func serveIdentified(t *testing.T, http2 bool, id *x509svid.SVID, clients ...*spiffetest.Domain) *identified {
	t.Helper()
	s := &identified{rest: make(chan struct{})}
	s.id.Store(id)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.url = "https://" + listener.Addr().String()
	server := &http.Server{TLSConfig: spiffetest.Server(s, clients...), Protocols: new(http.Protocols), Handler: s,
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				s.made.Add(1)
			case http.StateClosed:
				s.closed.Add(1)
			}
		}}
	server.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetHTTP2(http2)
	go server.ServeTLS(listener, "", "")
	t.Cleanup(func() { server.Close() })
	return s
}

// ServeHTTP answers with the version of HTTP and who asks.
func (s *identified) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	client := r.TLS.PeerCertificates[0]
	fmt.Fprintf(w, "%s %s %s", r.Proto, client.URIs[0], client.SerialNumber)
	if r.TLS.DidResume {
		io.WriteString(w, " resumed")
	}
	if r.URL.Path == "/slow" {
		w.(http.Flusher).Flush()
		<-s.rest
		io.WriteString(w, " to the end")
	}
}

// fixed is a source that does not change.
type fixed struct {
	*x509svid.SVID
	*x509bundle.Set
}

// A server is who it is to be, by a certificate of an authority of its trust domain, or is not spoken to;
// and it knows who speaks to it.
func TestServersKnownBySPIFFE(t *testing.T) {
	ours, partner := spiffetest.NewDomain(t, "example.org"), spiffetest.NewDomain(t, "partner.org")
	source := fixed{ours.Issue(t, "/gateway"), x509bundle.NewSet(ours.Bundle(), partner.Bundle())}
	api := ours.Issue(t, "/api")
	twice := func(c *x509.Certificate) {
		c.URIs = append(c.URIs, &url.URL{Scheme: "spiffe", Host: "example.org", Path: "/web"})
	}
	ended := func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }
	const listed = "spiffe://example.org/api"
	for _, tt := range []struct {
		name   string
		ids    []string
		domain string
		server *x509svid.SVID
		says   string // empty: the server is spoken to
	}{
		{"listed", []string{"spiffe://example.org/web", listed}, "", api, ""},
		{"ids count before the trust domain", []string{listed}, "partner.org", api, ""},
		{"not listed", []string{"spiffe://example.org/web"}, "example.org", api, "the server is spiffe://example.org/api, and none of spiffe://example.org/web"},
		{"a part of it listed", []string{"spiffe://example.org/ap"}, "", api, "none of"},
		{"its path in another domain listed", []string{"spiffe://partner.org/api"}, "", api, "none of"},
		{"of the trust domain", nil, "example.org", api, ""},
		{"of the trust domain, as a URL", nil, "spiffe://example.org", api, ""},
		{"of another trust domain", nil, "example.org", partner.Issue(t, "/api"), "the server is spiffe://partner.org/api, and not of the trust domain example.org"},
		{"any", nil, "", partner.Issue(t, "/api"), ""},
		{"any, of an unknown trust domain", nil, "", spiffetest.NewDomain(t, "stranger.org").Issue(t, "/api"), "stranger.org"},
		{"an impostor", []string{listed}, "", spiffetest.NewDomain(t, "example.org").Issue(t, "/api"), "unknown authority"},
		{"past its end", []string{listed}, "", ours.Issue(t, "/api", ended), "expired"},
	} {
		for _, http2 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, HTTP/2 %t", tt.name, http2), func(t *testing.T) {
				s := serveIdentified(t, http2, tt.server, ours)
				h, closer := pools{}.Pool(upstream.PoolKey{URL: s.url, Transport: &upstream.Transport{
					MaxIdle: -1, // whoever is known must be so on every connection
					TLS:     upstream.TLS{SPIFFE: &upstream.SPIFFE{IDs: tt.ids, TrustDomain: tt.domain, Source: source}},
				}})
				defer closer.Close()
				for range 2 {
					body, err := askServer(h, exchangetest.Request("GET", "/"))
					if tt.says != "" {
						if exchange.KindOf(err) != exchange.UpstreamTLS || !strings.Contains(err.Error(), tt.says) {
							t.Errorf("%v %q", err, body)
						}
						continue
					}
					want := map[bool]string{false: "HTTP/1.1 ", true: "HTTP/2.0 "}[http2] + "spiffe://example.org/gateway " + source.SVID.Certificates[0].SerialNumber.String()
					if err != nil || body != want {
						t.Errorf("%v %q, want %q", err, body, want)
					}
				}
			})
		}
	}
	t.Run("certificates that are no identities", func(t *testing.T) {
		for says, id := range map[string]*x509svid.SVID{
			"no URI SAN":            unidentified(t, ours, nil),
			"more than one URI SAN": unidentified(t, ours, twice),
		} {
			s := serveIdentified(t, false, id, ours)
			h, closer := pools{}.Pool(upstream.PoolKey{URL: s.url, Transport: &upstream.Transport{TLS: upstream.TLS{SPIFFE: &upstream.SPIFFE{Source: source}}}})
			if _, err := askServer(h, exchangetest.Request("GET", "/")); exchange.KindOf(err) != exchange.UpstreamTLS || !strings.Contains(err.Error(), says) {
				t.Errorf("%s: %v", says, err)
			}
			closer.Close()
		}
	})
	t.Run("a server that does not know the gateway", func(t *testing.T) {
		s := serveIdentified(t, false, api, partner)
		h, closer := pools{}.Pool(upstream.PoolKey{URL: s.url, Transport: &upstream.Transport{TLS: upstream.TLS{SPIFFE: &upstream.SPIFFE{Source: source}}}})
		defer closer.Close()
		if body, err := askServer(h, exchangetest.Request("GET", "/")); err == nil {
			t.Errorf("%q", body)
		}
	})
}

// unidentified is a certificate of a trust domain's authority with more than an identity in it, or none.
func unidentified(t *testing.T, d *spiffetest.Domain, change func(*x509.Certificate)) *x509svid.SVID {
	if change == nil {
		c := d.Authority.Issue([]string{"127.0.0.1"})
		return &x509svid.SVID{Certificates: []*x509.Certificate{c.Leaf}, PrivateKey: c.PrivateKey.(crypto.Signer)}
	}
	id := &url.URL{Scheme: "spiffe", Host: d.Name, Path: "/api"}
	c := d.Authority.Issue(nil, func(c *x509.Certificate) { c.URIs = []*url.URL{id} }, change)
	return &x509svid.SVID{Certificates: []*x509.Certificate{c.Leaf}, PrivateKey: c.PrivateKey.(crypto.Signer)}
}

// startIdentified runs all of a gateway but its entry points, with an agent.
func startIdentified(t *testing.T, agent *spiffetest.Agent, routes string) *core {
	t.Helper()
	path := t.TempDir() + "/pergola.yaml"
	text := "entryPoints: {web: {address: '127.0.0.1:0'}}\nspiffe: {workloadAPIAddr: '" + agent.URL() + "'}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	loaded := static.Load([]string{"--configFile=" + path}, nil)
	if len(loaded.Problems) > 0 {
		t.Fatal(loaded.Problems)
	}
	logger := slog.New(slog.DiscardHandler)
	k, err := newCore(loaded.Config, logger)
	if err != nil {
		t.Fatal(err)
	}
	c, problems := load.DynamicFile("routes.yaml", []byte(routes), load.YAML)
	r := &snapshot.Runner{Builder: k.builder, Live: k.live, Logger: logger, Changed: k.spiffe.Changed()}
	r.Apply(dynamic.Update{Provider: "file", Config: c, Problems: problems})
	if p := k.live.Snapshot().View().Problems; len(p) > 0 {
		t.Fatal(p)
	}
	p := &process{core: k}
	p.life, p.stopFeeds = context.WithCancel(context.Background())
	p.feeds.Go(func() { k.spiffe.Run(p.life) })
	p.feeds.Go(func() { r.Run(p.life, make(chan dynamic.Update)) })
	t.Cleanup(func() {
		p.stopFeeds()
		p.feeds.Wait()
	})
	return k
}

// get asks a path at the entry point.
func get(k *core, path string) (string, error) {
	return askServer(k.live.Handler("web"), exchangetest.Request("GET", path))
}

// A new identity is shown on new connections, and those before it take nothing new, but what is under way
// on them ends in peace. Servers of an authority that is gone are refused, also those that are connected to.
func TestIdentityRotates(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("HTTP/2 %t", http2), func(t *testing.T) {
			before, after := spiffetest.NewDomain(t, "example.org"), spiffetest.NewDomain(t, "example.org")
			agent := spiffetest.NewAgent(t)
			agent.Start()
			first := before.Issue(t, "/gateway")
			agent.Give(first, before)
			s := serveIdentified(t, http2, before.Issue(t, "/api"), before, after)
			k := startIdentified(t, agent, `
http:
  routers: {all: {rule: PathPrefix("/"), service: api}}
  services: {api: {loadBalancer: {serversTransport: known, servers: [{url: "`+s.url+`"}]}}}
  serversTransports: {known: {spiffe: {ids: ["spiffe://example.org/api"]}}}
`)
			asks := func(id *x509svid.SVID) bool {
				body, err := get(k, "/")
				return err == nil && strings.HasSuffix(body, " spiffe://example.org/gateway "+id.Certificates[0].SerialNumber.String())
			}
			waittest.Until(t, "the first identity is shown, on a connection that is kept", func() bool {
				shown := asks(first)
				made := s.made.Load()
				return shown && asks(first) && s.made.Load() == made
			})

			slow := exchangetest.Request("GET", "/slow")
			defer slow.Free()
			if err := k.live.Handler("web").Handle(slow); err != nil {
				t.Fatal(err)
			}
			defer slow.Response.Close()
			second := before.Issue(t, "/gateway")
			agent.Give(second, before)
			waittest.Until(t, "the second identity is shown", func() bool { return asks(second) })
			if asks(first) {
				t.Error("a connection of the first identity is still used")
			}
			close(s.rest)
			body, err := exchangetest.ReadAll(nil, slow.Response.Body, 1<<20)
			if err != nil || !strings.HasSuffix(string(body), first.Certificates[0].SerialNumber.String()+" to the end") {
				t.Errorf("what was under way: %v %q", err, body)
			}
			slow.Response.Close()
			waittest.Until(t, "only that of the second identity is left", func() bool { return s.made.Load()-s.closed.Load() == 1 })

			third := after.Issue(t, "/gateway")
			agent.Give(third, after)
			waittest.Until(t, "the server's authority is trusted no more", func() bool {
				_, err := get(k, "/")
				return exchange.KindOf(err) == exchange.UpstreamTLS && strings.Contains(err.Error(), "unknown authority")
			})
			s.id.Store(after.Issue(t, "/api"))
			waittest.Until(t, "the server has a new identity too", func() bool { return asks(third) })
		})
	}
}

// As long as there is no identity servers are not spoken to, and requests say why. Once there is one all is
// well at once, whatever the interval of health checks, which show it too.
func TestAgentComesAfterTheGateway(t *testing.T) {
	domain, agent := spiffetest.NewDomain(t, "example.org"), spiffetest.NewAgent(t)
	s := serveIdentified(t, true, domain.Issue(t, "/api"), domain)
	k := startIdentified(t, agent, `
http:
  routers:
    plain: {rule: PathPrefix("/plain"), service: plain}
    checked: {rule: PathPrefix("/checked"), service: checked}
  services:
    plain: {loadBalancer: {serversTransport: known, servers: [{url: "`+s.url+`"}]}}
    checked: {loadBalancer: {serversTransport: known, healthCheck: {path: /, interval: 1h}, servers: [{url: "`+s.url+`"}]}}
  serversTransports: {known: {spiffe: {trustDomain: example.org}}}
`)
	fails := func(path string, kind exchange.Kind, says ...string) func() bool {
		return func() bool {
			_, err := get(k, path)
			for _, text := range says {
				if err == nil || !strings.Contains(err.Error(), text) {
					return false
				}
			}
			return errors.Is(err, kind)
		}
	}
	waittest.Until(t, "the agent is missed", fails("/plain", exchange.UpstreamTLS, "no SPIFFE identity from "+agent.URL(), "no such file", "see that the SPIFFE agent runs"))
	waittest.Until(t, "the check fails", fails("/checked", exchange.NoEndpoint))
	agent.Start()
	waittest.Until(t, "the process is unknown to the agent", fails("/plain", exchange.UpstreamTLS, "no identity issued"))
	agent.Give(domain.Issue(t, "/gateway"), domain)
	for _, path := range []string{"/plain", "/checked"} {
		waittest.Until(t, path+" is answered", func() bool {
			body, err := get(k, path)
			return err == nil && strings.HasPrefix(body, "HTTP/2.0 spiffe://example.org/gateway ")
		})
	}
	if all := k.certificates(); len(all) != 1 || all[0].Origin != "spiffe" || all[0].URIs[0].String() != "spiffe://example.org/gateway" {
		t.Errorf("certificates are %+v, want the identity", all)
	}
	agent.Answer(nil)
	waittest.Until(t, "the identity is taken back", fails("/plain", exchange.UpstreamTLS, "no identity issued"))
	waittest.Until(t, "the check fails", fails("/checked", exchange.NoEndpoint))
	if all := k.certificates(); len(all) != 0 {
		t.Errorf("certificates are %+v, and the identity is taken back", all)
	}
}
