package static

import (
	"net/url"
	"strings"
	"time"
)

// CertificateResolver obtains certificates.
type CertificateResolver struct {
	ACME      *ACME          `description:"An ACME certificate authority." json:"acme,omitempty" file:"allowEmpty"`
	Tailscale map[string]any `description:"Tailscale." json:"tailscale,omitempty"`
}

// ACME is how certificates are obtained from an ACME certificate authority. RFC 8555.
type ACME struct {
	Email                       string         `description:"The account's e-mail address, which authorities may write to." json:"email"`
	CAServer                    string         `description:"The authority's directory." json:"caServer"`
	PreferredChain              string         `description:"Prefer the chain whose topmost issuer has this common name, when the authority offers several." json:"preferredChain"`
	Profile                     string         `description:"The authority's certificate profile, such as shortlived." json:"profile"`
	EmailAddresses              []string       `description:"E-mail addresses to have in certificates." json:"emailAddresses,omitempty"`
	DisableCommonName           bool           `description:"Ask for certificates without a common name." json:"disableCommonName"`
	CertificatesDuration        int            `description:"The lifetime to count on, in hours, when a certificate lives longer. Renewal is due after two thirds of it." json:"certificatesDuration"`
	KeyType                     string         `description:"The key of certificates: EC256, EC384, RSA2048, RSA3072, RSA4096 or RSA8192." json:"keyType"`
	EAB                         *EAB           `description:"External account binding, for authorities that ask for it." json:"eab,omitempty"`
	Storage                     string         `description:"Where account, keys and certificates are kept: a file, readable by its owner alone, or redis://[user:password@]host:port[/db][?prefix=name], which several gateways may share." json:"storage"`
	ClientTimeout               Duration       `description:"How long a request to the authority may take." json:"clientTimeout"`
	ClientResponseHeaderTimeout Duration       `description:"How long the authority may take to begin its answer." json:"clientResponseHeaderTimeout"`
	CertificateTimeout          Duration       `description:"How long the authority may take to issue, once all names are proven." json:"certificateTimeout"`
	CACertificates              []string       `description:"PEM files of the authorities that the ACME server's own certificate is verified by." json:"caCertificates,omitempty"`
	CASystemCertPool            bool           `description:"Trust the system's authorities beside caCertificates." json:"caSystemCertPool"`
	CAServerName                string         `description:"The name that the ACME server's own certificate is verified against." json:"caServerName"`
	DNSChallenge                *DNSChallenge  `description:"Prove names by DNS records (DNS-01); the one way to wildcards." json:"dnsChallenge,omitempty"`
	HTTPChallenge               *HTTPChallenge `description:"Prove names by HTTP on port 80 (HTTP-01)." json:"httpChallenge,omitempty"`
	TLSChallenge                *TLSChallenge  `description:"Prove names by TLS on port 443 (TLS-ALPN-01)." json:"tlsChallenge,omitempty" file:"allowEmpty"`
}

// DefaultCAServer is Let's Encrypt's directory.
const DefaultCAServer = "https://acme-v02.api.letsencrypt.org/directory"

// defaultKeyType is what certificates have when nothing is said.
const defaultKeyType = "EC256"

// SetDefaults asks Let's Encrypt for P-256 certificates and keeps them in acme.json.
func (a *ACME) SetDefaults() {
	a.CAServer, a.KeyType, a.Storage = DefaultCAServer, defaultKeyType, "acme.json"
	a.CertificatesDuration = 90 * 24
	a.ClientTimeout = Duration(2 * time.Minute)
	a.ClientResponseHeaderTimeout = Duration(30 * time.Second)
	a.CertificateTimeout = Duration(30 * time.Second)
}

// EAB binds the ACME account to one that exists elsewhere with the authority. RFC 8555 §7.3.4.
type EAB struct {
	Kid         string `description:"The key identifier the authority gave." json:"kid"`
	HmacEncoded string `description:"The key the authority gave, in base64url." json:"hmacEncoded" secret:"true"`
}

// DNSChallenge proves names by TXT records. RFC 8555 §8.4.
type DNSChallenge struct {
	Provider                string          `description:"The DNS service. Its credentials come from the environment." json:"provider"`
	Resolvers               []string        `description:"Recursive name servers to ask, as host:port. None stands for the system's." json:"resolvers,omitempty"`
	Propagation             *DNSPropagation `description:"How long to wait for the records to be seen." json:"propagation,omitempty"`
	DelayBeforeCheck        Duration        `description:"The older place of propagation.delayBeforeChecks." json:"delayBeforeCheck"`
	DisablePropagationCheck bool            `description:"The older place of propagation.disableChecks." json:"disablePropagationCheck"`
}

// DNSPropagation is what must be so before the authority is told to look.
type DNSPropagation struct {
	DisableChecks     bool     `description:"Look for nothing: only wait for delayBeforeChecks." json:"disableChecks"`
	DisableANSChecks  bool     `description:"Do not ask the zone's own name servers for the record." json:"disableANSChecks"`
	RequireAllRNS     bool     `description:"Ask the recursive name servers for the record too; all must have it." json:"requireAllRNS"`
	DelayBeforeChecks Duration `description:"The time between the record's creation and the first look." json:"delayBeforeChecks"`
}

// Waits is the propagation in force: what the two older keys say counts where the newer say nothing.
func (d *DNSChallenge) Waits() DNSPropagation {
	p := DNSPropagation{}
	if d.Propagation != nil {
		p = *d.Propagation
	}
	p.DisableChecks = p.DisableChecks || d.DisablePropagationCheck
	if p.DelayBeforeChecks == 0 {
		p.DelayBeforeChecks = d.DelayBeforeCheck
	}
	return p
}

// HTTPChallenge proves names by an answer below /.well-known/acme-challenge/. RFC 8555 §8.3.
type HTTPChallenge struct {
	EntryPoint string   `description:"The entry point that port 80 leads to. The others answer too." json:"entryPoint"`
	Delay      Duration `description:"The time between having the answer ready and telling the authority." json:"delay"`
}

// TLSChallenge proves names by a certificate shown to acme-tls/1. RFC 8737.
type TLSChallenge struct {
	Delay Duration `description:"The time between having the certificate ready and telling the authority." json:"delay"`
}

// SharedStorage reports whether storage is a URL of a store that gateways share, and not a file.
func (a *ACME) SharedStorage() bool {
	scheme, _, ok := strings.Cut(a.Storage, "://")
	return ok && scheme != ""
}

// storageScheme is the scheme of a storage URL in lower case; it fails for what is no URL.
func (a *ACME) storageScheme() (string, error) {
	u, err := url.Parse(a.Storage)
	if err != nil {
		return "", err
	}
	return strings.ToLower(u.Scheme), nil
}
