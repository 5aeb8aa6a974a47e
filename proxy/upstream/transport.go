package upstream

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"sync"
	"time"
)

// Transport is how servers are spoken to. It must not change once it is in use.
type Transport struct {
	// DialTimeout bounds making a connection, TLS included. Zero means no limit, here and below.
	DialTimeout time.Duration
	// ResponseHeaderTimeout runs from the end of the request to the end of the response's head.
	ResponseHeaderTimeout time.Duration
	// IdleTimeout is how long a connection is kept without a request.
	IdleTimeout time.Duration
	// MaxIdle bounds the idle connections kept to one server; negative keeps none, zero means 1024.
	MaxIdle int
	// MaxConns bounds all connections to one server; 0 means no limit.
	MaxConns int
	// DisableHTTP2 offers nothing but HTTP/1.1 to servers with an https URL.
	DisableHTTP2 bool
	// PingAfter is the silence after which a connection of HTTP/2 is pinged, zero for never; PingTimeout
	// is how long that may take.
	PingAfter, PingTimeout time.Duration
	TLS                    TLS

	once sync.Once
	hash string
	err  error
}

// TLS is how servers with an https URL are spoken to and known. See TLS.Config.
type TLS struct {
	// ServerName is the SNI and the name the certificate is verified against; empty means the host
	// of the server's URL.
	ServerName string
	// InsecureSkipVerify takes any certificate. PeerURIs and PeerDNSNames are still looked at.
	InsecureSkipVerify bool
	// RootCAs are certificates in PEM; none means the system's.
	RootCAs []string
	// Certificates are shown to servers that ask for one.
	Certificates []KeyPair
	// MinVersion and MaxVersion are such as "VersionTLS12"; empty means TLS 1.2 and the newest.
	MinVersion, MaxVersion string
	// CipherSuites, by their IANA names, are for TLS 1.2 and below; none means Go's choice.
	CipherSuites []string
	// PeerURIs and PeerDNSNames are the alternative names of which the server's certificate must
	// carry one, exactly as written; when both are empty, it need not.
	PeerURIs, PeerDNSNames []string
	// SPIFFE, when set, stands instead of all of the above.
	SPIFFE *SPIFFE
}

// KeyPair is a certificate chain and its key in PEM.
type KeyPair struct{ Certificate, Key string }

// Defaults, Traefik's but where said.
const (
	DefaultDialTimeout = 30 * time.Second
	DefaultIdleTimeout = 90 * time.Second
	DefaultMaxIdle     = 1024 // Traefik: 200, which 256 clients at once overrun
)

// DefaultTransport is used by services that name no transport.
var DefaultTransport = &Transport{
	DialTimeout: DefaultDialTimeout, IdleTimeout: DefaultIdleTimeout, MaxIdle: DefaultMaxIdle,
}

// Hash is the same for transports with the same settings, and only for those.
func (t *Transport) Hash() string {
	t.once.Do(t.examine)
	return t.hash
}

// Err is why the transport cannot be used; nil when it can.
func (t *Transport) Err() error {
	t.once.Do(t.examine)
	return t.err
}

func (t *Transport) examine() {
	text, err := json.Marshal(struct {
		Dial, Header, Idle time.Duration
		MaxIdle, MaxConns  int
		DisableHTTP2       bool
		PingAfter, Ping    time.Duration
		TLS                *TLS
	}{t.DialTimeout, t.ResponseHeaderTimeout, t.IdleTimeout, t.MaxIdle, t.MaxConns, t.DisableHTTP2, t.PingAfter, t.PingTimeout, &t.TLS})
	if err != nil {
		panic(err) // strings and numbers always marshal
	}
	sum := sha256.Sum256(text)
	t.hash = hex.EncodeToString(sum[:])
	_, t.err = t.TLS.Config()
}
