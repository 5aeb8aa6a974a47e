package snapshot

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/internal/pemtext"
	"github.com/pergola-mesh/pergola/proxy/upstream"
)

// newTransport makes what servers are spoken to by. A file that cannot be read is an error: servers are
// never trusted more than was asked for.
func (b *Builder) newTransport(config *dynamic.ServersTransport) (*upstream.Transport, error) {
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
	var err error
	t.TLS, err = b.tlsClient(config)
	return t, err
}

// tlsClient makes the TLS part of a transport.
func (b *Builder) tlsClient(config *dynamic.ServersTransport) (t upstream.TLS, err error) {
	if config.Spiffe != nil {
		return b.spiffeClient(config)
	}
	t = upstream.TLS{
		ServerName: config.ServerName, InsecureSkipVerify: config.InsecureSkipVerify,
		MinVersion: config.MinVersion, MaxVersion: config.MaxVersion, CipherSuites: config.CipherSuites,
	}
	for i, ca := range config.RootCAs {
		text, err := b.pem(ca)
		if err != nil {
			return t, fmt.Errorf("rootCAs[%d]: %w", i, err)
		}
		t.RootCAs = append(t.RootCAs, text)
	}
	for i, c := range config.Certificates {
		chain, err := b.pem(c.CertFile)
		if err != nil {
			return t, fmt.Errorf("certificates[%d].certFile: %w", i, err)
		}
		key, err := b.pem(c.KeyFile)
		if err != nil {
			return t, fmt.Errorf("certificates[%d].keyFile: %w", i, err)
		}
		t.Certificates = append(t.Certificates, upstream.KeyPair{Certificate: chain, Key: key})
	}
	if config.PeerCertURI != "" {
		t.PeerURIs = append(t.PeerURIs, config.PeerCertURI)
	}
	for i, san := range config.PeerCertSANs {
		switch {
		case san.Value == "":
			return t, fmt.Errorf("peerCertSANs[%d]: value is missing", i)
		case strings.EqualFold(san.Type, "URI"):
			t.PeerURIs = append(t.PeerURIs, san.Value)
		case strings.EqualFold(san.Type, "DNSName"):
			t.PeerDNSNames = append(t.PeerDNSNames, san.Value)
		default:
			return t, fmt.Errorf("peerCertSANs[%d]: type %q is not DNSName or URI", i, san.Type)
		}
	}
	_, err = t.Config()
	return t, err
}

// pem is PEM text as it was given, or that of the file that was named; whole in either case.
func (b *Builder) pem(fileOrText string) (string, error) {
	switch {
	case fileOrText == "":
		return "", errors.New("names no file")
	case isPEM(fileOrText):
		return fileOrText, pemtext.Check(fileOrText)
	}
	content, err := b.readFile(fileOrText)
	if err != nil {
		return "", err
	}
	text := strings.TrimPrefix(string(content), "\ufeff") // as some editors begin files
	if !isPEM(text) {
		return "", fmt.Errorf("%s is not a PEM file", fileOrText)
	}
	if err := pemtext.Check(text); err != nil {
		return "", fmt.Errorf("%s: %w", fileOrText, err)
	}
	return text, nil
}

// isPEM tells PEM text from the name of a file.
func isPEM(text string) bool { return strings.Contains(text, "-----BEGIN") }
