package layer4

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"github.com/pergola-mesh/pergola/identity/spiffe/spiffetest"
	"github.com/pergola-mesh/pergola/internal/nettest"
	"github.com/pergola-mesh/pergola/internal/waittest"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/upstream"
)

// Servers of TCP are known by SPIFFE as those of HTTP are, and so is the gateway to them; health checks
// know them in the same way.
func TestServersKnownBySPIFFE(t *testing.T) {
	domain := spiffetest.NewDomain(t, "example.org")
	source := struct {
		*x509svid.SVID
		*x509bundle.Set
	}{domain.Issue(t, "/gateway"), x509bundle.NewSet(domain.Bundle())}
	config := spiffetest.Server(domain.Issue(t, "/db"), domain)
	var greeted atomic.Int32
	address := nettest.Serve(t, func(c net.Conn) {
		s := tls.Server(c, config)
		if s.Handshake() == nil {
			greeted.Add(1)
			io.WriteString(s, "hello "+s.ConnectionState().PeerCertificates[0].URIs[0].String())
		}
		s.Close()
	})
	known := func(ids ...string) LoadBalancer {
		return LoadBalancer{Servers: []Server{{Address: address, TLS: true}}, Transport: &Transport{
			TLS: upstream.TLS{SPIFFE: &upstream.SPIFFE{IDs: ids, Source: source}}}}
	}
	r := NewRegistry(Options{})
	if said, err := reach(t, balancer(t, r, known("spiffe://example.org/db")), newStream()); err != nil || said != "hello spiffe://example.org/gateway" {
		t.Errorf("%q, %v", said, err)
	}
	wrong := known("spiffe://example.org/other")
	if said, err := reach(t, balancer(t, NewRegistry(Options{}), wrong), newStream()); !errors.Is(err, exchange.UpstreamTLS) || !strings.Contains(err.Error(), "the server is spiffe://example.org/db") {
		t.Errorf("%q, %v", said, err)
	}
	check := func(c LoadBalancer, what string, holds func(status string) bool) {
		t.Helper()
		c.HealthCheck = &HealthCheck{Interval: 10 * time.Millisecond, Expect: "hello spiffe://example.org/gateway"}
		s := balancer(t, NewRegistry(Options{}), c)
		waittest.Until(t, what, func() bool { return holds(s.Status()[address]) })
	}
	before := greeted.Load()
	check(known("spiffe://example.org/db"), "the right one is up", func(status string) bool {
		return greeted.Load() >= before+3 && status == "UP" // two verdicts at least
	})
	check(wrong, "another one is down", func(status string) bool { return status == "DOWN" })
}
