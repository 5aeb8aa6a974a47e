//go:build linux

package main

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/pergola-mesh/pergola/internal/certtest"
)

// tlsLoads are of TLS 1.3 from the client, with TLS_AES_128_GCM_SHA256, and plaintext to the backend. A
// full handshake is one with X25519 and a certificate of P-256, without resumption, and the one request
// that follows it.
var tlsLoads = []load{
	{Name: "TLS, 128 B, c=32", Connections: 32, Path: "/api/128", Size: 128},
	{Name: "TLS, 10 KiB, c=32", Connections: 32, Path: "/api/10k", Size: 10 << 10},
	{Name: "TLS, 1 MiB, c=32", Connections: 32, Path: "/api/1m", Size: 1 << 20},
	{Name: "TLS, full handshakes, c=32", Connections: 32, Closes: true, Path: "/api/128", Size: 128},
}

// measureTLS compares HTTP/1.1 over TLS, with one certificate for all.
func (b *bench) measureTLS() error {
	chain, key := newCertificate()
	return b.compare("bare", tlsLoads, b.rounds, func(s *settings) {
		s.secure(chain, key)
	})
}

// secure has a product speak TLS.
func (s *settings) secure(chain, key []byte) {
	s.TLS = true
	for name, text := range map[string][]byte{"chain.pem": chain, "key.pem": key, "both.pem": append(chain, key...)} {
		if err := os.WriteFile(filepath.Join(s.Dir, name), text, 0o600); err != nil {
			return // the product says which one it lacks
		}
	}
}

// newCertificate makes a self-signed certificate for host, of P-256, and its key, both in PEM.
func newCertificate() (chain, key []byte) {
	return certtest.PEM(certtest.SelfSigned([]string{host, "127.0.0.1"}, func(c *x509.Certificate) {
		c.NotAfter = time.Now().Add(24 * time.Hour)
	}))
}

// secured is c as TLS, if the instance speaks it. Nobody checks its certificate here.
func (i *instance) secured(c net.Conn) net.Conn {
	if !i.TLS {
		return c
	}
	return tls.Client(c, &tls.Config{ServerName: host, InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
}

// scheme is that of the instance's URLs.
func (i *instance) scheme() string {
	if i.TLS {
		return "https"
	}
	return "http"
}
