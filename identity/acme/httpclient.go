package acme

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/pergola-mesh/pergola/config/static"
)

// newHTTPClient makes what asks the ACME server.
func newHTTPClient(c *static.ACME) (*http.Client, error) {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.ResponseHeaderTimeout = time.Duration(c.ClientResponseHeaderTimeout)
	t.TLSClientConfig = &tls.Config{ServerName: c.CAServerName, MinVersion: tls.VersionTLS12}
	if len(c.CACertificates) > 0 {
		pool := x509.NewCertPool()
		if c.CASystemCertPool {
			system, err := x509.SystemCertPool()
			if err != nil {
				return nil, fmt.Errorf("caSystemCertPool: %w", err)
			}
			pool = system
		}
		for i, path := range c.CACertificates {
			pem, err := os.ReadFile(path)
			if err != nil {
				return nil, fmt.Errorf("caCertificates[%d]: %w", i, err)
			}
			if !pool.AppendCertsFromPEM(pem) {
				return nil, fmt.Errorf("caCertificates[%d]: %s holds no certificate in PEM", i, path)
			}
		}
		t.TLSClientConfig.RootCAs = pool
	}
	return &http.Client{Transport: t, Timeout: time.Duration(c.ClientTimeout)}, nil
}
