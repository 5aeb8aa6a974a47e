//go:build linux

package integration

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/pergola-mesh/pergola/integration/harness"
)

// TestTLSExample runs docs/examples/tls: who is let in where, what servers are told of clients, and that
// no request gets round the options of its host, by whatever version of HTTP.
func TestTLSExample(t *testing.T) {
	backend := func(name string) string {
		return harness.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			info, _ := url.QueryUnescape(r.Header.Get("X-Forwarded-Tls-Client-Cert-Info"))
			io.WriteString(w, name+" for "+r.Header.Get("X-Forwarded-Proto")+" "+info)
		}))
	}
	archive := ""
	for _, name := range []string{"pergola.yaml", "routes.yaml"} {
		text, err := os.ReadFile("../docs/examples/tls/" + name)
		if err != nil {
			t.Fatal(err)
		}
		archive += "-- " + name + " --\n" + string(text)
	}
	archive = strings.NewReplacer("address: :8443", "address: $WEB\n    http3: {}", "address: :8080", "address: $ADMIN", "filename: routes.yaml", "filename: $DIR/routes.yaml",
		"http://127.0.0.1:9001", backend("site"), "http://127.0.0.1:9002", backend("admin")).Replace(archive)
	g := harness.Prepare(t, archive, nil)
	ca, staff := harness.NewAuthority(t), harness.NewAuthority(t)
	g.WritePair("certs/example.com.crt", "certs/example.com.key", ca.Issue("www.example.com", "admin.example.com"))
	g.WritePair("certs/shop.crt", "certs/shop.key", ca.Issue("*.shop.example.com"))
	g.Write("certs/staff-ca.crt", staff.PEM)
	g.Run()

	jane, mallory := staff.Issue("jane"), ca.Issue("mallory")
	for _, c := range []struct {
		what, name, host string
		certificates     []tls.Certificate
		status           int // 0: the handshake fails
		body             string
	}{
		{"everybody", "www.example.com", "www.example.com", nil, 200, "site for https "},
		{"a wildcard", "eu.shop.example.com", "EU.shop.example.com", nil, 200, "site for https "},
		{"two labels", "a.b.shop.example.com", "a.b.shop.example.com", nil, 0, ""},
		{"nobody's name", "other.example.com", "other.example.com", nil, 0, ""},
		{"staff", "admin.example.com", "admin.example.com", []tls.Certificate{jane.Certificate}, 200, `admin for https Subject="CN=jane";SerialNumber="` + jane.Leaf.SerialNumber.String() + `"`},
		{"no staff", "admin.example.com", "admin.example.com", nil, 0, ""},
		{"another authority's", "admin.example.com", "admin.example.com", []tls.Certificate{mallory.Certificate}, 0, ""},
		{"round about", "www.example.com", "admin.example.com", nil, 421, ""},
		{"round about, spelled otherwise", "www.example.com", "ADMIN.Example.com.", []tls.Certificate{jane.Certificate}, 421, ""},
		{"the other way round", "admin.example.com", "www.example.com", []tls.Certificate{jane.Certificate}, 421, ""},
	} {
		for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0", "HTTP/3.0"} {
			config := &tls.Config{RootCAs: ca.Pool(), ServerName: c.name, Certificates: c.certificates}
			request, err := http.NewRequest("GET", "https://"+c.name+"/", nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Host = c.host
			request.Header.Set("X-Forwarded-Tls-Client-Cert-Info", "Subject%3D%22CN%3Dadmin%22")
			client, done := speaking(protocol, g.Web, config)
			response, err := client.RoundTrip(request)
			if err != nil {
				if c.status != 0 {
					t.Errorf("%s (%s): %v", c.what, protocol, err)
				}
				done()
				continue
			}
			body, _ := io.ReadAll(response.Body)
			response.Body.Close()
			done()
			if response.StatusCode != c.status || c.status == 200 && string(body) != c.body || response.Proto != protocol {
				t.Errorf("%s (%s, %s): %d %q", c.what, protocol, response.Proto, response.StatusCode, body)
			}
		}
	}

	request, err := http.NewRequest("GET", "http://"+g.Admin+"/a", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = "www.example.com"
	response, err := new(http.Transport).RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	_, port, _ := net.SplitHostPort(g.Web)
	if got := response.Header.Get("Location"); got != "https://www.example.com:"+port+"/a" {
		t.Errorf("plaintext is sent to %q", got)
	}
}

// speaking is a client of one version of HTTP that sends everything to address over TLS, and what ends its
// connections.
func speaking(protocol, address string, config *tls.Config) (client http.RoundTripper, done func()) {
	if protocol == "HTTP/3.0" {
		transport := &http3.Transport{TLSClientConfig: config, Dial: func(ctx context.Context, _ string, tc *tls.Config, qc *quic.Config) (*quic.Conn, error) {
			return quic.DialAddrEarly(ctx, address, tc, qc)
		}}
		return transport, func() { transport.Close() }
	}
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: protocol == "HTTP/2.0",
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", address)
		}}
	return transport, transport.CloseIdleConnections
}
