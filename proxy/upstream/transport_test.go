package upstream

import (
	"crypto/tls"
	"crypto/x509"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/internal/certtest"
)

func TestTransportHash(t *testing.T) {
	plain := func() *Transport { return &Transport{DialTimeout: time.Second, TLS: TLS{RootCAs: []string{"x"}}} }
	if one, two := plain(), plain(); one.Hash() != two.Hash() {
		t.Error("the same settings have two hashes")
	}
	seen := map[string]int{plain().Hash(): -1}
	for i, change := range []func(*Transport){
		func(t *Transport) { t.DialTimeout = 2 }, func(t *Transport) { t.ResponseHeaderTimeout = 1 },
		func(t *Transport) { t.IdleTimeout = 1 }, func(t *Transport) { t.MaxIdle = 1 }, func(t *Transport) { t.MaxConns = 1 },
		func(t *Transport) { t.TLS.ServerName = "x" }, func(t *Transport) { t.TLS.InsecureSkipVerify = true },
		func(t *Transport) { t.TLS.RootCAs = nil }, func(t *Transport) { t.TLS.Certificates = []KeyPair{{"a", "b"}} },
		func(t *Transport) { t.TLS.MinVersion = "x" }, func(t *Transport) { t.TLS.MaxVersion = "x" },
		func(t *Transport) { t.TLS.CipherSuites = []string{"x"} }, func(t *Transport) { t.TLS.PeerURIs = []string{"x"} },
		func(t *Transport) { t.TLS.PeerDNSNames = []string{"x"} },
	} {
		c := plain()
		change(c)
		if other, ok := seen[c.Hash()]; ok {
			t.Errorf("changes %d and %d have the same hash", i, other)
		}
		seen[c.Hash()] = i
	}
}

func TestTLSConfig(t *testing.T) {
	c, err := (&TLS{MinVersion: "VersionTLS10", MaxVersion: "VersionTLS12", CipherSuites: []string{"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"}}).Config()
	if err != nil || c.MinVersion != tls.VersionTLS10 || c.MaxVersion != tls.VersionTLS12 || len(c.CipherSuites) != 1 {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err := (&TLS{}).Config(); err != nil || c.MinVersion != tls.VersionTLS12 || c.RootCAs != nil || c.VerifyConnection != nil {
		t.Errorf("%+v, %v", c, err)
	}
	for want, bad := range map[string]TLS{
		`minVersion: "TLS12" is not`:    {MinVersion: "TLS12"},
		`maxVersion: "x" is not`:        {MaxVersion: "x"},
		"maxVersion VersionTLS11 is be": {MaxVersion: "VersionTLS11"},
		`cipherSuites: "RC4" is not`:    {CipherSuites: []string{"RC4"}},
		"rootCAs[0]":                    {RootCAs: []string{""}},
		"certificates[0]":               {Certificates: []KeyPair{{"x", "y"}}},
	} {
		if _, err := bad.Config(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// The names a server must show compare exactly.
func TestPeerNames(t *testing.T) {
	id, _ := url.Parse("spiffe://mesh.example/web")
	certificate := certtest.SelfSigned([]string{"web.example"}, func(c *x509.Certificate) { c.URIs = []*url.URL{id} }).Leaf
	for _, c := range []struct {
		tls TLS
		ok  bool
	}{
		{TLS{PeerURIs: []string{"spiffe://mesh.example/web"}}, true},
		{TLS{PeerURIs: []string{"spiffe://mesh.example/other", "spiffe://mesh.example/web"}}, true},
		{TLS{PeerURIs: []string{"spiffe://mesh.example/we"}}, false},
		{TLS{PeerURIs: []string{"spiffe://mesh-example/web"}}, false},
		{TLS{PeerURIs: []string{"web.example"}}, false},
		{TLS{PeerDNSNames: []string{"web.example"}}, true},
		{TLS{PeerDNSNames: []string{"*.example"}}, false},
		{TLS{PeerURIs: []string{"x"}, PeerDNSNames: []string{"web.example"}}, true},
	} {
		config, err := c.tls.Config()
		if err != nil {
			t.Fatal(err)
		}
		if err := config.VerifyConnection(tls.ConnectionState{PeerCertificates: []*x509.Certificate{certificate}}); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c.tls, err)
		}
		if config.VerifyConnection(tls.ConnectionState{}) == nil {
			t.Error("a server without a certificate was taken")
		}
	}
}
