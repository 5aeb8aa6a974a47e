package identity

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/internal/certtest"
)

func TestTheCertificateIsThatOfTheName(t *testing.T) {
	ca := certtest.NewAuthority("ca")
	s := &Store{}
	var all []*Certificate
	for _, names := range [][]string{
		{"a.example", "127.0.0.1"}, {"*.a.example"}, {"b.a.example"}, {"*.b.a.example"}, {"*.*.deep.example"}, {"Mixed.Example"},
	} {
		all = append(all, certificate(t, ca.Issue(names)))
	}
	fallback := certificate(t, ca.Issue([]string{"fallback.example"}))
	s.Use(&Configured{Certificates: all, Default: fallback})
	edge := &Edge{Fallback: policy(t, s, "default", dynamic.TLSOptions{}), Open: true}
	config := s.Config(func() *Edge { return edge })
	for name, want := range map[string]string{
		"a.example":       "a.example",
		"A.Example":       "a.example",
		"x.a.example":     "*.a.example",
		"b.a.example":     "b.a.example",
		"x.b.a.example":   "*.b.a.example",
		"x.y.b.a.example": "fallback.example",
		"x.y.a.example":   "fallback.example",
		"x.deep.example":  "fallback.example",
		"mixed.example":   "Mixed.Example",
		"other.example":   "fallback.example",
		"":                "a.example", // by address
	} {
		o := shake(t, config, &tls.Config{ServerName: name, InsecureSkipVerify: true})
		if o.clientErr != nil {
			t.Errorf("%q: %v, %v", name, o.clientErr, o.serverErr)
			continue
		}
		if got := o.client.PeerCertificates[0].DNSNames[0]; got != want {
			t.Errorf("%q is shown %s, want %s", name, got, want)
		}
	}
}

// Of several certificates for a name, the client gets the cheapest that it can use and that has not expired.
func TestTheBestOfSeveralCertificates(t *testing.T) {
	ca := certtest.NewAuthority("ca")
	expired := func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }
	longer := func(c *x509.Certificate) { c.NotAfter = time.Now().Add(2 * time.Hour) }
	names := []string{"a.example"}
	ecdsa, rsa, old, late := ca.Issue(names), ca.IssueRSA(names), ca.Issue(names, expired), ca.Issue(names, longer)
	wildcard := ca.Issue([]string{"*.example"})
	rsaOnly := &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}}
	for name, c := range map[string]struct {
		have   []tls.Certificate
		client *tls.Config
		want   tls.Certificate
	}{
		"ECDSA":                   {[]tls.Certificate{rsa, ecdsa}, &tls.Config{}, ecdsa},
		"RSA for who needs it":    {[]tls.Certificate{ecdsa, rsa}, rsaOnly, rsa},
		"not an expired one":      {[]tls.Certificate{old, rsa}, &tls.Config{}, rsa},
		"an expired one at worst": {[]tls.Certificate{old}, &tls.Config{}, old},
		"the longer lived":        {[]tls.Certificate{ecdsa, late}, &tls.Config{}, late},
		"the name itself":         {[]tls.Certificate{wildcard, rsa}, &tls.Config{}, rsa},
	} {
		t.Run(name, func(t *testing.T) {
			s := &Store{}
			var all []*Certificate
			for _, pair := range c.have {
				all = append(all, certificate(t, pair))
			}
			s.Use(&Configured{Certificates: all})
			config := c.client.Clone()
			config.ServerName, config.InsecureSkipVerify = "a.example", true
			o := shake(t, at(s, bound(policy(t, s, "default", dynamic.TLSOptions{}), nil)), config)
			if o.clientErr != nil {
				t.Fatalf("%v, %v", o.clientErr, o.serverErr)
			}
			if !o.client.PeerCertificates[0].Equal(c.want.Leaf) {
				t.Errorf("shown %v", o.client.PeerCertificates[0].PublicKeyAlgorithm)
			}
		})
	}
}

// Hardening 33: a name that some readers take to end at a NUL is refused.
func TestCertificatesWithOddNames(t *testing.T) {
	ca := certtest.NewAuthority("ca")
	for _, name := range []string{"a.example\x00.evil.example", "a.example\n", "a b.example"} {
		if _, err := NewCertificate(ca.Issue([]string{name})); err == nil || !strings.Contains(err.Error(), "no name can have") {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, c := range []struct {
		name string
		want map[string]bool
	}{
		{"*.example.com", map[string]bool{"a.example.com": true, "A.Example.Com.": true, "a.b.example.com": false, "example.com": false, ".example.com": false, "*.example.com": true}},
		{"*.*.example.com", map[string]bool{"a.b.example.com": false, "*.example.com": false}},
		{"a*.example.com", map[string]bool{"ab.example.com": false}},
		{"*", map[string]bool{"localhost": false}},
		{"10.0.0.1", map[string]bool{"10.0.0.1": true, "a.0.0.1": false}},
		{"*.0.0.1", map[string]bool{"10.0.0.1": false}},
	} {
		certificate := certificate(t, ca.Issue([]string{c.name}))
		s := newSet([]*Certificate{certificate})
		for name, want := range c.want {
			if got := certificate.Covers(name); got != want {
				t.Errorf("%s covers %s: %t", c.name, name, got)
			}
			if normal, ok := Normalize(name); ok && s.covers(normal) != want {
				t.Errorf("%s is found for %s: %t", c.name, name, !want)
			}
		}
	}
}

// What becomes of names that no certificate is for.
func TestUnknownNames(t *testing.T) {
	ca := certtest.NewAuthority("ca")
	s := &Store{}
	s.Use(&Configured{Certificates: []*Certificate{certificate(t, ca.Issue([]string{"covered.example"}))}})
	for _, c := range []struct {
		strict *bool
		open   bool
		served string
	}{
		{nil, false, "covered.example routed.example -"},
		{nil, true, "covered.example routed.example other.example -"},
		{new(true), true, "covered.example"},
		{new(false), false, "covered.example routed.example other.example -"},
	} {
		p := policy(t, s, "p", dynamic.TLSOptions{SNIStrict: c.strict})
		edge := &Edge{Hosts: Hosts{}.With(map[string]*Policy{"routed.example": p}), Fallback: p, Open: c.open}
		var served []string
		for _, name := range []string{"covered.example", "routed.example", "other.example", ""} {
			o := shake(t, at(s, edge), &tls.Config{ServerName: name, InsecureSkipVerify: true})
			switch {
			case o.clientErr == nil && name == "":
				served = append(served, "-")
			case o.clientErr == nil:
				served = append(served, name)
			case o.session.Err() == nil || !strings.Contains(o.clientErr.Error(), "unrecognized name"):
				t.Errorf("%q: the client is told %v, we %v", name, o.clientErr, o.session.Err())
			}
		}
		if got := strings.Join(served, " "); got != c.served {
			t.Errorf("strict %v, open %t: served %q, want %q", c.strict, c.open, got, c.served)
		}
	}
}

// Certificates that are obtained join those that are configured, and can be the default.
func TestDynamicCertificates(t *testing.T) {
	ca := certtest.NewAuthority("ca")
	s := &Store{}
	config := at(s, bound(policy(t, s, "default", dynamic.TLSOptions{}), nil))
	shown := func(name string) string {
		o := shake(t, config, &tls.Config{ServerName: name, InsecureSkipVerify: true})
		if o.clientErr != nil {
			t.Fatal(o.clientErr)
		}
		return o.client.PeerCertificates[0].DNSNames[0]
	}
	generated := shown("a.example")
	if again := shown("b.example"); again != generated || !strings.HasSuffix(generated, ".invalid") {
		t.Errorf("the generated default is %s, then %s", generated, again)
	}
	s.SetDynamic("le", []*Certificate{certificate(t, ca.Issue([]string{"a.example"})), certificate(t, ca.Issue([]string{"d.example", "e.example"}))})
	if got := shown("a.example"); got != "a.example" {
		t.Errorf("a.example is shown %s", got)
	}
	s.Use(&Configured{DefaultFor: Wanted{Resolver: "le", Domains: []string{"d.example", "e.example"}}})
	if got := shown("b.example"); got != "d.example" {
		t.Errorf("the default is %s", got)
	}
	for _, held := range s.Certificates() {
		if held.Resolver != "le" {
			t.Errorf("the certificate for %q is of resolver %q", held.Leaf.DNSNames, held.Resolver)
		}
	}
	if n := len(s.Certificates()); n != 2 {
		t.Errorf("%d certificates are listed", n)
	}
	s.SetDynamic("le", nil)
	if got := shown("b.example"); got != generated {
		t.Errorf("the default is %s after the resolver's are gone", got)
	}
}

// An authority that verifies a name is answered by the challenge alone, and nobody else is.
func TestChallenge(t *testing.T) {
	ca := certtest.NewAuthority("ca")
	s := &Store{}
	edge := bound(Refusal("", errors.New("nothing is served here")), nil)
	ask := func(protocols ...string) outcome {
		return shake(t, at(s, edge), &tls.Config{ServerName: "a.example", InsecureSkipVerify: true, NextProtos: protocols})
	}
	if o := ask("acme-tls/1"); o.clientErr == nil {
		t.Error("a challenge was answered that nobody has set")
	}
	pair := ca.Issue([]string{"a.example"})
	s.SetChallenge(func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if hello.ServerName == "a.example" {
			return &pair, nil
		}
		return nil, nil
	})
	if o := ask("acme-tls/1"); o.clientErr != nil || o.client.NegotiatedProtocol != "acme-tls/1" || o.session.Policy() != nil {
		t.Errorf("%v, protocol %q", o.clientErr, o.client.NegotiatedProtocol)
	}
	for _, protocols := range [][]string{nil, {"http/1.1"}, {"acme-tls/1", "http/1.1"}} {
		if o := ask(protocols...); o.clientErr == nil {
			t.Errorf("%q got through", protocols)
		}
	}
}
