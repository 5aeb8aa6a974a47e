package spiffe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/pergola-mesh/pergola/identity/spiffe/spiffetest"
	"github.com/pergola-mesh/pergola/internal/waittest"
)

// run runs a source for an agent until the test ends.
func run(t *testing.T, agent *spiffetest.Agent) (*Source, *waittest.Buffer) {
	t.Helper()
	l := &waittest.Buffer{}
	s := New(Options{Network: "unix", Address: agent.Path, Logger: slog.New(slog.NewTextHandler(l, nil))})
	s.longest = firstPause
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Run(ctx)
	}()
	t.Cleanup(func() {
		stop()
		<-done
	})
	return s, l
}

// has reports whether a source has the identity of a certificate.
func has(s *Source, leaf *x509.Certificate) bool {
	svid, err := s.GetX509SVID()
	return err == nil && svid.Certificates[0].Equal(leaf)
}

var exampleOrg = spiffeid.RequireTrustDomainFromString("example.org")

// An agent that is not there, and one that knows nothing of this process, are waited for; what is wrong and
// what to do is in the error and in the log, once for each.
func TestAgentComesLate(t *testing.T) {
	domain, agent := spiffetest.NewDomain(t, "example.org"), spiffetest.NewAgent(t)
	s, l := run(t, agent)
	complains := func(why string) {
		t.Helper()
		waittest.Until(t, "complaint of "+why, func() bool {
			_, err := s.GetX509SVID()
			_, bundleErr := s.GetX509BundleForTrustDomain(exampleOrg)
			return err != nil && bundleErr != nil && bundleErr.Error() == err.Error() && strings.Contains(err.Error(), why) &&
				strings.Contains(err.Error(), "no SPIFFE identity from "+agent.URL()) && strings.Contains(err.Error(), remedy)
		})
	}
	complains("no such file")
	agent.Start()
	complains("no identity issued")
	select {
	case <-s.Ready():
		t.Fatal("it is ready and has nothing")
	default:
	}
	calls := agent.Calls()
	waittest.Until(t, "second call", func() bool { return agent.Calls() > calls })
	id := domain.Issue(t, "/gateway")
	agent.Give(id, domain)
	<-s.Ready()
	<-s.Changed()
	if !has(s, id.Certificates[0]) || s.Epoch() != 1 {
		t.Errorf("another identity, or epoch %d", s.Epoch())
	}
	if b, err := s.GetX509BundleForTrustDomain(exampleOrg); err != nil || !b.HasX509Authority(domain.Authority.Certificate) {
		t.Errorf("authorities: %v", err)
	}
	_, err := s.GetX509BundleForTrustDomain(spiffeid.RequireTrustDomainFromString("other.org"))
	if err == nil || !strings.Contains(err.Error(), "has to federate with it") {
		t.Errorf("authorities of nobody: %v", err)
	}
	for _, line := range []string{"no such file", "no identity issued", "SPIFFE identity received"} {
		if n := strings.Count(l.String(), line); n != 1 {
			t.Errorf("%q is logged %d times", line, n)
		}
	}
}

// Every answer is taken at once. The epoch moves when the certificate is another or an authority is gone,
// not when there is one more.
func TestRotation(t *testing.T) {
	domain, agent := spiffetest.NewDomain(t, "example.org"), spiffetest.NewAgent(t)
	agent.Start()
	id := domain.Issue(t, "/gateway")
	agent.Give(id, domain)
	s, _ := run(t, agent)
	<-s.Ready()
	<-s.Changed()

	partner := spiffetest.NewDomain(t, "partner.org")
	agent.Give(id, domain, partner)
	waittest.Until(t, "bundle of the partner", func() bool {
		_, err := s.GetX509BundleForTrustDomain(spiffeid.RequireTrustDomainFromString("partner.org"))
		return err == nil
	})
	if s.Epoch() != 1 {
		t.Errorf("epoch %d after one more authority", s.Epoch())
	}
	agent.Give(id, domain)
	<-s.Changed()
	if _, err := s.GetX509BundleForTrustDomain(spiffeid.RequireTrustDomainFromString("partner.org")); err == nil || s.Epoch() != 2 {
		t.Errorf("a trust domain that is gone: %v, epoch %d", err, s.Epoch())
	}
	next := domain.Issue(t, "/gateway")
	agent.Give(next, domain)
	<-s.Changed()
	if !has(s, next.Certificates[0]) || s.Epoch() != 3 {
		t.Errorf("not the next identity, or epoch %d", s.Epoch())
	}
	again := spiffetest.NewDomain(t, "example.org") // with another authority
	agent.Give(next, again)
	<-s.Changed()
	if b, err := s.GetX509BundleForTrustDomain(exampleOrg); err != nil || b.HasX509Authority(domain.Authority.Certificate) || s.Epoch() != 4 {
		t.Errorf("the authority before is still trusted, or %v, epoch %d", err, s.Epoch())
	}
}

// An agent that goes away takes nothing with it, and is heard again when it comes back.
func TestAgentRestarts(t *testing.T) {
	domain, agent := spiffetest.NewDomain(t, "example.org"), spiffetest.NewAgent(t)
	agent.Start()
	id := domain.Issue(t, "/gateway")
	agent.Give(id, domain)
	s, l := run(t, agent)
	<-s.Ready()
	<-s.Changed()
	agent.Stop()
	waittest.Until(t, "complaint", func() bool { return strings.Contains(l.String(), "used until it ends") })
	agent.Answer(nil) // it is taken back // as agents do that have not heard from their server yet
	agent.Start()
	waittest.Until(t, "denial", func() bool { return strings.Contains(l.String(), "no identity issued") })
	if !has(s, id.Certificates[0]) || s.Epoch() != 1 {
		t.Errorf("the identity was given up with the agent, or epoch %d", s.Epoch())
	}
	next := domain.Issue(t, "/gateway")
	agent.Give(next, domain)
	<-s.Changed()
	if !has(s, next.Certificates[0]) {
		t.Error("the agent that came back is not heard")
	}
}

// An identity that the agent takes back is used no more.
func TestRedaction(t *testing.T) {
	domain, agent := spiffetest.NewDomain(t, "example.org"), spiffetest.NewAgent(t)
	agent.Start()
	agent.Give(domain.Issue(t, "/gateway"), domain)
	s, _ := run(t, agent)
	<-s.Ready()
	<-s.Changed()
	agent.Answer(nil) // it is taken back
	<-s.Changed()
	if _, err := s.GetX509SVID(); err == nil || !strings.Contains(err.Error(), "no identity issued") || s.Epoch() != 2 {
		t.Errorf("after it was taken back: %v, epoch %d", err, s.Epoch())
	}
}

// A denial on a new connection counts once it has lasted.
func TestDenialThatLasts(t *testing.T) {
	denial := status{permissionDenied, "no identity issued"}
	w := &watcher{Source: New(Options{Network: "unix", Address: "/agent", Logger: slog.New(slog.DiscardHandler)})}
	domain := spiffetest.NewDomain(t, "example.org")
	w.use(&material{svid: domain.Issue(t, "/gateway"), bundles: bundles(domain)})
	w.failed(denial, false)
	w.denied = w.denied.Add(-denialTime / 2)
	w.failed(errSilent, false) // which is no denial
	w.failed(denial, false)
	w.denied = w.denied.Add(-denialTime / 2)
	w.failed(denial, false)
	if _, err := w.GetX509SVID(); err != nil {
		t.Fatal(err)
	}
	w.denied = w.denied.Add(-denialTime / 2)
	w.failed(denial, false)
	if _, err := w.GetX509SVID(); err == nil {
		t.Error("it is used for good")
	}
}

// What has ended is not used, whoever failed to renew it.
func TestIdentityEnds(t *testing.T) {
	domain, agent := spiffetest.NewDomain(t, "example.org"), spiffetest.NewAgent(t)
	agent.Start()
	end := time.Now().Add(5 * time.Second).Truncate(time.Second)
	agent.Give(domain.Issue(t, "/gateway", func(c *x509.Certificate) { c.NotAfter = end }), domain)
	s, l := run(t, agent)
	<-s.Ready()
	waittest.Until(t, "end", func() bool {
		_, err := s.GetX509SVID()
		_, bundleErr := s.GetX509BundleForTrustDomain(exampleOrg)
		return err != nil && bundleErr != nil && strings.Contains(err.Error(), "spiffe://example.org/gateway has ended") && strings.Contains(err.Error(), remedy)
	})
	waittest.Until(t, "word of it", func() bool { return strings.Contains(l.String(), "The SPIFFE identity has ended") })
	if c := s.Certificate(); c == nil || !c.NotAfter.Equal(end) {
		t.Errorf("the certificate that has ended is shown as %v", c)
	}
	if said := l.String(); strings.Count(said, "The SPIFFE identity ends soon") != 1 || strings.Index(said, "ends soon") > strings.Index(said, "has ended") {
		t.Errorf("it was to be said once, and before, that it ends soon:\n%s", said)
	}
	next := domain.Issue(t, "/gateway")
	agent.Give(next, domain)
	waittest.Until(t, "another", func() bool { return s.Certificate().Equal(next.Certificates[0]) })
	agent.Answer(nil) // it is taken back
	waittest.Until(t, "none", func() bool { return s.Certificate() == nil })
}

// Answers that make no sense are not used, and do not end what came before.
func TestBadAnswers(t *testing.T) {
	domain, agent := spiffetest.NewDomain(t, "example.org"), spiffetest.NewAgent(t)
	agent.Start()
	id := domain.Issue(t, "/gateway")
	agent.Give(id, domain)
	s, l := run(t, agent)
	<-s.Ready()
	chain, key, err := id.MarshalRaw()
	if err != nil {
		t.Fatal(err)
	}
	_, otherKey, err := domain.Issue(t, "/gateway").MarshalRaw()
	if err != nil {
		t.Fatal(err)
	}
	root := domain.Authority.Certificate.Raw
	for what, tt := range map[string]struct {
		answer *workload.X509SVIDResponse
		says   string
	}{
		"nothing":           {&workload.X509SVIDResponse{}, "it has no identity"},
		"no id":             {one("", chain, key, root), "identity"},
		"another's id":      {one("spiffe://example.org/other", chain, key, root), "its certificate is that of spiffe://example.org/gateway"},
		"no chain":          {one("spiffe://example.org/gateway", nil, key, root), "no certificates found"},
		"another's key":     {one("spiffe://example.org/gateway", chain, otherKey, root), "does not match private key"},
		"no authority":      {one("spiffe://example.org/gateway", chain, key, []byte("x")), "the authorities of trust domain example.org"},
		"bad trust domains": {&workload.X509SVIDResponse{FederatedBundles: map[string][]byte{"spiffe://?": root}}, "trust domain"},
	} {
		agent.Answer(tt.answer)
		waittest.Until(t, what, func() bool { return strings.Contains(l.String(), tt.says) })
		if !has(s, id.Certificates[0]) {
			t.Fatalf("%s has ended what came before", what)
		}
	}
	next := domain.Issue(t, "/gateway")
	agent.Give(next, domain)
	waittest.Until(t, "recovery", func() bool { return has(s, next.Certificates[0]) })
}

func one(id string, chain, key, bundle []byte) *workload.X509SVIDResponse {
	return &workload.X509SVIDResponse{Svids: []*workload.X509SVID{{SpiffeId: id, X509Svid: chain, X509SvidKey: key, Bundle: bundle}}}
}

// What is no Workload API is said to be none.
func TestNoWorkloadAPI(t *testing.T) {
	agent := spiffetest.NewAgent(t)
	listener, err := net.Listen("unix", agent.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			tls.Server(c, &tls.Config{}).Handshake()
			c.Close()
		}
	}()
	s, _ := run(t, agent)
	waittest.Until(t, "complaint", func() bool {
		_, err := s.GetX509SVID()
		return err != nil && !strings.Contains(err.Error(), "not been asked")
	})
}

func bundles(domain *spiffetest.Domain) *x509bundle.Set { return x509bundle.NewSet(domain.Bundle()) }
