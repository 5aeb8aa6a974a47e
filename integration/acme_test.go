//go:build linux

package integration

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/pergola-mesh/pergola/integration/harness"
)

// acmeGateway obtains certificates from $AUTHORITY by $CHALLENGE, and keeps them in $STORAGE. Port 80 sends
// everything on to 443.
const acmeGateway = `
-- static.yaml --
entryPoints:
  web:
    address: $WEB
    http: {redirections: {entryPoint: {to: websecure}}}
  websecure: {address: $SECURE}
  traefik: {address: $ADMIN}
providers:
  providersThrottleDuration: 50ms
  file: {directory: $DIR/dynamic, watch: true}
certificatesResolvers:
  ca:
    acme:
      email: ops@example.test
      caServer: $AUTHORITY
      caCertificates: [$CAFILE]
      storage: $STORAGE
      $CHALLENGE
api: {insecure: true}
metrics: {prometheus: {}}
log: {level: INFO}
-- dynamic/routes.yaml --
http:
  routers:
    one:
      rule: Host(~one.example.test~) && PathPrefix(~/~)
      service: backend
      tls: {certResolver: ca}
  services:
    backend: {loadBalancer: {servers: [{url: $BACKEND}]}}
`

// front takes connections for several gateways in turn, as a balancer before them does.
type front struct {
	net.Listener
	mu      sync.Mutex
	targets []string
	turn    int
}

func newFront(t *testing.T) *front {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &front{Listener: listener}
	t.Cleanup(func() { f.Close() })
	go func() {
		for {
			conn, err := f.Accept()
			if err != nil {
				return
			}
			go f.relay(conn)
		}
	}()
	return f
}

func (f *front) add(target string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.targets = append(f.targets, target)
}

func (f *front) relay(from net.Conn) {
	defer from.Close()
	f.mu.Lock()
	if len(f.targets) == 0 {
		f.mu.Unlock()
		return
	}
	f.turn++
	target := f.targets[f.turn%len(f.targets)]
	f.mu.Unlock()
	to, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer to.Close()
	go func() {
		io.Copy(to, from)
		to.(*net.TCPConn).CloseWrite()
	}()
	io.Copy(from, to)
}

// authority is a certificate authority and what it takes for ports 80 and 443 of all names.
type authority struct {
	*harness.Pebble
	http, tls *front
}

func newAuthority(t *testing.T) *authority {
	a := &authority{http: newFront(t), tls: newFront(t)}
	a.Pebble = harness.StartPebble(t, harness.PebbleOptions{HTTP: a.http.Addr().String(), TLS: a.tls.Addr().String()})
	return a
}

// start runs a gateway behind the fronts, and returns it with the address of its entry point websecure.
func (a *authority) start(t *testing.T, storage, challenge, backend string) (*harness.Gateway, string) {
	t.Helper()
	secure := harness.FreeAddress(t)
	g := harness.Prepare(t, acmeGateway, harness.Vars{"SECURE": secure, "AUTHORITY": a.Directory, "CAFILE": a.CAFile,
		"STORAGE": storage, "CHALLENGE": challenge, "BACKEND": backend})
	a.http.add(g.Web)
	a.tls.add(secure)
	g.Run()
	return g, secure
}

// awaitCertificate waits until a name is served with a good certificate, and returns that.
func (a *authority) awaitCertificate(t *testing.T, address, name string) *x509.Certificate {
	t.Helper()
	roots := a.Roots()
	var leaf *x509.Certificate
	harness.Eventually(t, "a certificate for "+name+" at "+address, func() bool {
		conn, err := tls.Dial("tcp", address, &tls.Config{ServerName: name, RootCAs: roots})
		if err != nil {
			return false
		}
		defer conn.Close()
		leaf = conn.ConnectionState().PeerCertificates[0]
		return true
	})
	return leaf
}

func (a *authority) get(t *testing.T, address, url string) string {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: a.Roots()},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		}}
	client := &http.Client{Transport: transport, Timeout: harness.Patience}
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != 200 {
		t.Fatalf("GET %s: %s, %v\n%s", url, response.Status, err, body)
	}
	return string(body)
}

// TestACMEByHTTP obtains a certificate through an entry point that redirects everything else, another for a
// router that comes later, and serves both.
func TestACMEByHTTP(t *testing.T) {
	a := newAuthority(t)
	g, secure := a.start(t, "acme.json", "httpChallenge: {entryPoint: web}", harness.Whoami(t, "one"))
	a.awaitCertificate(t, secure, "one.example.test")
	if body := a.get(t, secure, "https://one.example.test/"); !strings.Contains(body, "Host: one.example.test") {
		t.Errorf("the backend was not reached: %s", body)
	}
	g.Write("dynamic/two.yaml", `
http:
  routers:
    two: {rule: Host(~two.example.test~), service: backend@file, tls: {certResolver: ca}}
`)
	a.awaitCertificate(t, secure, "two.example.test")
	a.awaitCertificate(t, secure, "one.example.test")

	var shown []struct{ SANs []string }
	if err := json.Unmarshal([]byte(a.get(t, g.Admin, "http://"+g.Admin+"/api/certificates")), &shown); err != nil {
		t.Fatal(err)
	}
	if len(shown) != 2 {
		t.Errorf("the API shows %v", shown)
	}
	metrics := a.get(t, g.Admin, "http://"+g.Admin+"/metrics")
	for _, want := range []string{
		`pergola_certificate_orders_total{resolver="ca",result="ok"} 2`,
		`pergola_certificate_resolver_served{resolver="ca"} 2`,
		`pergola_certificate_resolver_missing_names{resolver="ca"} 0`,
		`pergola_tls_certs_not_after{cn="",sans="two.example.test"`,
	} {
		if !strings.Contains(metrics, want) && !strings.Contains(metrics, strings.Replace(want, `cn=""`, `cn="two.example.test"`, 1)) {
			t.Errorf("the metrics have no %s", want)
		}
	}
}

// TestACMERetry: an order that failed is tried again on SIGHUP. A name that a configured certificate covers is not
// ordered at all.
func TestACMERetry(t *testing.T) {
	a := newAuthority(t)
	secure := harness.FreeAddress(t)
	g := harness.Prepare(t, acmeGateway, harness.Vars{"SECURE": secure, "AUTHORITY": a.Directory, "CAFILE": a.CAFile,
		"STORAGE": "acme.json", "CHALLENGE": "httpChallenge: {entryPoint: web}", "BACKEND": harness.Whoami(t, "one")})
	writePair(t, g, harness.NewAuthority(t), "had", "*.had.example.test")
	g.Write("dynamic/had.yaml", `
http:
  routers:
    had: {rule: Host(~a.had.example.test~), service: backend@file, tls: {certResolver: ca}}
tls:
  certificates: [{certFile: $DIR/had.crt, keyFile: $DIR/had.key}]
`)
	g.Run()
	harness.Eventually(t, "the order to fail", func() bool { return strings.Contains(g.Log(), "certificate could not be obtained") })
	a.http.add(g.Web)
	g.Signal(syscall.SIGHUP)
	a.awaitCertificate(t, secure, "one.example.test")
	metrics := a.get(t, g.Admin, "http://"+g.Admin+"/metrics")
	for _, want := range []string{
		`pergola_certificate_orders_total{resolver="ca",result="ok"} 1`,
		`pergola_certificate_resolver_served{resolver="ca"} 1`,
		`pergola_certificate_resolver_missing_names{resolver="ca"} 0`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("the metrics have no %s", want)
		}
	}
}

// TestACMEByTLS obtains a certificate on port 443 alone.
func TestACMEByTLS(t *testing.T) {
	a := newAuthority(t)
	_, secure := a.start(t, "acme.json", "tlsChallenge: {}", harness.Whoami(t, "one"))
	a.awaitCertificate(t, secure, "one.example.test")
}

// TestACMEShared has two gateways with one storage behind a balancer: one orders, both answer challenges and
// serve the certificate, and when the one that ordered is gone the other orders what comes.
func TestACMEShared(t *testing.T) {
	// The delay lets both come up before the authority asks.
	for _, challenge := range []string{"httpChallenge: {entryPoint: web, delay: 2s}", "tlsChallenge: {delay: 2s}"} {
		t.Run(strings.Fields(challenge)[0], func(t *testing.T) {
			a, backend := newAuthority(t), harness.Whoami(t, "one")
			storage := fmt.Sprintf("redis://%s/1?prefix=edge", harness.Redis(t))
			first, firstSecure := a.start(t, storage, challenge, backend)
			second, secondSecure := a.start(t, storage, challenge, backend)
			one := a.awaitCertificate(t, firstSecure, "one.example.test")
			two := a.awaitCertificate(t, secondSecure, "one.example.test")
			if !one.Equal(two) {
				t.Error("the gateways serve different certificates")
			}
			if n := orders(first) + orders(second); n != 1 {
				t.Errorf("%d orders, want 1", n)
			}
			other := second
			gone, goneSecure := first, firstSecure
			if orders(second) > 0 {
				other, gone, goneSecure = first, second, secondSecure
			}
			gone.Signal(syscall.SIGKILL)
			gone.AwaitExit()
			a.http.only(other.Web)
			left := firstSecure
			if left == goneSecure {
				left = secondSecure
			}
			a.tls.only(left)
			other.Write("dynamic/two.yaml", "http:\n  routers:\n    two: {rule: Host(~two.example.test~), service: backend@file, tls: {certResolver: ca}}\n")
			a.awaitCertificate(t, left, "two.example.test")
		})
	}
}

// orders counts the certificates that a gateway ordered.
func orders(g *harness.Gateway) int { return strings.Count(g.Log(), "ordering a certificate") }

// only leaves one gateway to take connections.
func (f *front) only(target string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.targets = []string{target}
}

// TestACMEExample runs docs/examples/acme with another authority and other addresses.
func TestACMEExample(t *testing.T) {
	root, err := harness.Root()
	if err != nil {
		t.Fatal(err)
	}
	a, secure := newAuthority(t), harness.FreeAddress(t)
	archive := ""
	for _, name := range []string{"pergola.yaml", "routes/shop.yaml"} {
		text, err := os.ReadFile(filepath.Join(root, "docs", "examples", "acme", name))
		if err != nil {
			t.Fatal(err)
		}
		archive += "-- " + name + " --\n" + string(text)
	}
	archive = strings.NewReplacer(`":80"`, "$WEB", `":443"`, secure, "http://127.0.0.1:9000", harness.Whoami(t, "shop"),
		"email: ops@example.com", "caServer: "+a.Directory+"\n      caCertificates: ["+a.CAFile+"]").Replace(archive)
	g := harness.Prepare(t, archive, nil)
	a.http.add(g.Web)
	a.tls.add(secure)
	g.Run()
	leaf := a.awaitCertificate(t, secure, "www.shop.example.com")
	if leaf.VerifyHostname("shop.example.com") != nil {
		t.Errorf("the certificate is for %v", leaf.DNSNames)
	}
	if body := a.get(t, secure, "https://shop.example.com/"); !strings.Contains(body, "Host: shop.example.com") {
		t.Errorf("the backend was not reached: %s", body)
	}
	response, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Get("http://" + g.Web + "/")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode/100 != 3 {
		t.Errorf("port 80 answers %s", response.Status)
	}
}

// TestACMEStorageThatOthersMayRead keeps the gateway from starting, and says what to do.
func TestACMEStorageThatOthersMayRead(t *testing.T) {
	directory := t.TempDir()
	for name, text := range map[string]string{"acme.json": "{}", "static.yaml": `
entryPoints: {web: {address: "127.0.0.1:0"}}
certificatesResolvers:
  ca: {acme: {httpChallenge: {entryPoint: web}, storage: acme.json}}
`} {
		if err := os.WriteFile(filepath.Join(directory, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, command := range [][]string{{"check"}, nil} {
		output, code := harness.Command(t, directory, append(command, "--configFile=static.yaml")...)
		if code != 1 || !strings.Contains(output, "certificatesResolvers.ca.acme.storage") || !strings.Contains(output, "chmod 600 acme.json") {
			t.Errorf("%v: exit %d\n%s", command, code, output)
		}
	}
}
