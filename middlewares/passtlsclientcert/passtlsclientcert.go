// Package passtlsclientcert is the passTLSClientCert middleware: it tells servers of the certificate that
// the client showed in its handshake.
package passtlsclientcert

import (
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net/url"
	"strings"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// Config is the middleware's configuration.
type Config struct {
	// PEM passes the certificates themselves on.
	PEM bool `json:"pem,omitempty"`
	// Info passes on what it selects of them.
	Info *Info `json:"info,omitempty"`
}

// New makes the middleware.
func New(config Config) (exchange.Middleware, error) {
	if !config.PEM && config.Info == nil {
		return nil, errors.New("passes nothing on: set pem, or select what of the certificate in info")
	}
	return func(next exchange.Handler) exchange.Handler { return &handler{config, next} }, nil
}

type handler struct {
	config Config
	next   exchange.Handler
}

// Handle replaces both fields: whatever else is in them is not from us.
func (h *handler) Handle(x *exchange.Exchange) error {
	header := &x.Request.Header
	header.Del(exchange.XForwardedTLSClientCert)
	header.Del(exchange.XForwardedTLSClientCertInfo)
	if x.Conn.TLS == nil || len(x.Conn.TLS.PeerCertificates) == 0 {
		return h.next.Handle(x)
	}
	chain := x.Conn.TLS.PeerCertificates
	if h.config.PEM {
		header.Add(exchange.XForwardedTLSClientCert, encode(chain))
	}
	if h.config.Info != nil {
		if info := h.config.Info.of(chain); strings.Trim(info, ",") != "" {
			header.Add(exchange.XForwardedTLSClientCertInfo, url.QueryEscape(info))
		}
	}
	return h.next.Handle(x)
}

// encode is PEM without its first and last lines and line ends, with a comma between certificates.
func encode(chain []*x509.Certificate) string {
	parts := make([]string, len(chain))
	for i, c := range chain {
		parts[i] = base64.StdEncoding.EncodeToString(c.Raw)
	}
	return strings.Join(parts, ",")
}
