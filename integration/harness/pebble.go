//go:build linux

package harness

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// PebbleOptions are how an ACME authority behaves.
type PebbleOptions struct {
	// HTTP and TLS are the addresses that it takes for ports 80 and 443 of every name.
	HTTP, TLS string
	// Binding makes it want accounts bound to one of these: identifiers with their keys in base64url.
	Binding map[string]string
	// Profiles are how long certificates live, by profile; of those that ask for none it takes any. None
	// stands for one of 90 days.
	Profiles map[string]time.Duration
}

// A Pebble is an ACME certificate authority for tests, and the name servers that it asks.
type Pebble struct {
	Directory string // URL
	CAFile    string // verifies the authority's own server
	DNS       string // host:port; every name is on loopback

	t          testing.TB
	management string // URL of the authority's own management
	records    string // URL that changes DNS records
	client     *http.Client
}

// StartPebble runs an authority until the test ends.
func StartPebble(t testing.TB, o PebbleOptions) *Pebble {
	t.Helper()
	if len(o.Profiles) == 0 {
		o.Profiles = map[string]time.Duration{"default": 90 * 24 * time.Hour}
	}
	directory := t.TempDir()
	certificate, key := filepath.Join(directory, "cert.pem"), filepath.Join(directory, "key.pem")
	own := SelfSigned()
	for name, text := range map[string]string{certificate: own.Chain, key: own.Key} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	pool.AddCert(own.Leaf)
	listen, management, dns, records := FreeAddress(t), FreeAddress(t), FreeAddress(t), FreeAddress(t)
	profiles := map[string]any{}
	for name, life := range o.Profiles {
		profiles[name] = map[string]any{"description": name, "validityPeriod": int(life.Seconds())}
	}
	config := map[string]any{"pebble": map[string]any{
		"listenAddress": listen, "managementListenAddress": management, "certificate": certificate, "privateKey": key,
		"httpPort": port(t, o.HTTP), "tlsPort": port(t, o.TLS), "keyAlgorithm": "ecdsa",
		"externalAccountBindingRequired": len(o.Binding) > 0, "externalAccountMACKeys": o.Binding,
		"retryAfter": map[string]int{"authz": 1, "order": 1},
		"profiles":   profiles,
	}}
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(directory, "pebble.json")
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	Process(t, records, nil, Tool(t, "pebble", "pebble-challtestsrv"), "-defaultIPv4", "127.0.0.1", "-defaultIPv6", "",
		"-dnsserver", dns, "-management", records, "-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "")
	// Every authorization is proven anew, and without artificial pauses.
	environ := []string{"PEBBLE_VA_NOSLEEP=1", "PEBBLE_AUTHZREUSE=0"}
	Process(t, listen, environ, Tool(t, "pebble", "pebble"), "-config", file, "-dnsserver", dns, "-strict")
	return &Pebble{
		Directory: "https://" + listen + "/dir", CAFile: certificate, DNS: dns, t: t,
		management: "https://" + management, records: "http://" + records,
		client: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}, Timeout: Patience},
	}
}

// Roots are what the authority's certificates are verified by.
func (p *Pebble) Roots() *x509.CertPool {
	p.t.Helper()
	response, err := p.client.Get(p.management + "/roots/0")
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	pool := x509.NewCertPool()
	if err != nil || !pool.AppendCertsFromPEM(text) {
		p.t.Fatalf("the authority's root: %v\n%s", err, text)
	}
	return pool
}

// SetTXT makes a TXT record, and ClearTXT removes all of a host. Hosts end in a dot.
func (p *Pebble) SetTXT(host, value string) error {
	return p.record("/set-txt", map[string]string{"host": host, "value": value})
}

// ClearTXT removes the TXT records of a host.
func (p *Pebble) ClearTXT(host string) error {
	return p.record("/clear-txt", map[string]string{"host": host})
}

func (p *Pebble) record(path string, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	response, err := p.client.Post(p.records+path, "application/json", bytes.NewReader(text))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, response.Status)
	}
	return nil
}

func port(t testing.TB, address string) int {
	t.Helper()
	if address == "" {
		address = FreeAddress(t)
	}
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return number
}
