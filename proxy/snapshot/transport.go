package snapshot

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/proxy/upstream"
)

// newTransport makes what servers are spoken to by. A file that cannot be read is an error: servers are
// never trusted more than was asked for.
func (b *Builder) newTransport(config *dynamic.ServersTransport) (*upstream.Transport, error) {
	if config.Spiffe != nil {
		return nil, errors.New("spiffe: this build does not have SPIFFE identities yet; remove it")
	}
	t := &upstream.Transport{MaxIdle: config.MaxIdleConnsPerHost, MaxConns: config.MaxConnsPerHost}
	timeouts := config.ForwardingTimeouts
	if timeouts == nil {
		timeouts = &dynamic.ForwardingTimeouts{}
		timeouts.SetDefaults()
	}
	t.DialTimeout = time.Duration(timeouts.DialTimeout)
	t.ResponseHeaderTimeout = time.Duration(timeouts.ResponseHeaderTimeout)
	t.IdleTimeout = time.Duration(timeouts.IdleConnTimeout)
	t.PingAfter = time.Duration(timeouts.ReadIdleTimeout)
	t.PingTimeout = time.Duration(timeouts.PingTimeout)
	t.DisableHTTP2 = config.DisableHTTP2
	t.TLS = upstream.TLS{
		ServerName: config.ServerName, InsecureSkipVerify: config.InsecureSkipVerify,
		MinVersion: config.MinVersion, MaxVersion: config.MaxVersion, CipherSuites: config.CipherSuites,
	}
	for i, ca := range config.RootCAs {
		text, err := b.pem(ca)
		if err != nil {
			return nil, fmt.Errorf("rootCAs[%d]: %w", i, err)
		}
		t.TLS.RootCAs = append(t.TLS.RootCAs, text)
	}
	for i, c := range config.Certificates {
		chain, err := b.pem(c.CertFile)
		if err != nil {
			return nil, fmt.Errorf("certificates[%d].certFile: %w", i, err)
		}
		key, err := b.pem(c.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("certificates[%d].keyFile: %w", i, err)
		}
		t.TLS.Certificates = append(t.TLS.Certificates, upstream.KeyPair{Certificate: chain, Key: key})
	}
	if config.PeerCertURI != "" {
		t.TLS.PeerURIs = append(t.TLS.PeerURIs, config.PeerCertURI)
	}
	for i, san := range config.PeerCertSANs {
		switch {
		case san.Value == "":
			return nil, fmt.Errorf("peerCertSANs[%d]: value is missing", i)
		case strings.EqualFold(san.Type, "URI"):
			t.TLS.PeerURIs = append(t.TLS.PeerURIs, san.Value)
		case strings.EqualFold(san.Type, "DNSName"):
			t.TLS.PeerDNSNames = append(t.TLS.PeerDNSNames, san.Value)
		default:
			return nil, fmt.Errorf("peerCertSANs[%d]: type %q is not DNSName or URI", i, san.Type)
		}
	}
	if _, err := t.TLS.Config(); err != nil {
		return nil, err
	}
	return t, nil
}

// pem is PEM text as it was given, or that of the file that was named.
func (b *Builder) pem(fileOrText string) (string, error) {
	switch {
	case fileOrText == "":
		return "", errors.New("names no file")
	case strings.Contains(fileOrText, "-----BEGIN"):
		return fileOrText, nil
	}
	content, err := b.readFile(fileOrText)
	if err != nil {
		return "", err
	}
	if !strings.Contains(string(content), "-----BEGIN") {
		return "", fmt.Errorf("%s is not a PEM file", fileOrText)
	}
	return string(content), nil
}
