package dynamic

import (
	"crypto/sha256"
	"fmt"
	"strings"
)

// CertAndStores is a certificate and the stores it belongs to; none means "default".
type CertAndStores struct {
	CertFile string   `json:"certFile,omitempty"`
	KeyFile  string   `json:"keyFile,omitempty"`
	Stores   []string `json:"stores,omitempty"`
}

// CertificateName is the name of a certificate in places such as "tls.certificates[a.pem]": its certFile,
// or a digest of one that is PEM text. It gets a + for each of the same name that has been taken.
func CertificateName(certFile string, taken func(name string) bool) string {
	name := certFile
	if strings.Contains(certFile, "-----BEGIN") {
		sum := sha256.Sum256([]byte(certFile))
		name = fmt.Sprintf("%x", sum[:8])
	}
	for taken(name) {
		name += "+"
	}
	return name
}

// TLSOptions is a policy for terminating TLS.
type TLSOptions struct {
	// MinVersion and MaxVersion are such as "VersionTLS12"; empty means the default.
	MinVersion       string      `json:"minVersion,omitempty"`
	MaxVersion       string      `json:"maxVersion,omitempty"`
	CipherSuites     []string    `json:"cipherSuites,omitempty"`
	CurvePreferences []string    `json:"curvePreferences,omitempty"`
	ClientAuth       *ClientAuth `json:"clientAuth,omitempty"`
	// SNIStrict refuses names that no certificate covers. When it is not stated, those are refused that no
	// router asks for either; false shows everybody the default certificate.
	SNIStrict             *bool    `json:"sniStrict,omitempty"`
	ALPNProtocols         []string `json:"alpnProtocols,omitempty"`
	DisableSessionTickets bool     `json:"disableSessionTickets,omitempty"`
	// PreferServerCipherSuites has no effect, as in Traefik v3.
	PreferServerCipherSuites *bool `json:"preferServerCipherSuites,omitempty"`
}

// SetDefaults offers HTTP/2, HTTP/1.1 and ACME's TLS-ALPN.
func (o *TLSOptions) SetDefaults() { o.ALPNProtocols = []string{"h2", "http/1.1", "acme-tls/1"} }

// ClientAuth asks clients for certificates.
type ClientAuth struct {
	// CAFiles are PEM file names or PEM text.
	CAFiles []string `json:"caFiles,omitempty"`
	// ClientAuthType is such as "RequireAndVerifyClientCert".
	ClientAuthType string `json:"clientAuthType,omitempty"`
}

// TLSStore is a set of certificates with a default.
type TLSStore struct {
	DefaultCertificate   *Certificate   `json:"defaultCertificate,omitempty"`
	DefaultGeneratedCert *GeneratedCert `json:"defaultGeneratedCert,omitempty"`
}

// GeneratedCert is a default certificate that a resolver obtains.
type GeneratedCert struct {
	Resolver string  `json:"resolver,omitempty"`
	Domain   *Domain `json:"domain,omitempty"`
}
