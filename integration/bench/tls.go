//go:build linux

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
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
	chain, key, err := newCertificate()
	if err != nil {
		return err
	}
	return b.compare("bare", tlsLoads, func(s *settings) {
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
func newCertificate() (chain, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{host}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return nil, nil, err
	}
	bits, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: bits}), nil
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
