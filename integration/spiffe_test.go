//go:build linux

package integration

import (
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/integration/harness"
)

// minted is a server with an identity of SPIRE's, for clients with one alone.
type minted struct {
	address string
	current atomic.Pointer[tls.Config]
}

// mint gives the server an identity, and lets it know clients by the authorities of now.
func (m *minted) mint(spire *harness.SPIRE, id string) {
	pair, clients := spire.Mint(id)
	m.current.Store(&tls.Config{
		Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients, NextProtos: []string{"h2", "http/1.1"},
	})
}

func listenMinted(t *testing.T, spire *harness.SPIRE, id string) (*minted, net.Listener) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	m := &minted{address: listener.Addr().String()}
	m.mint(spire, id)
	return m, tls.NewListener(listener, &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		return m.current.Load(), nil
	}})
}

// mintedHTTP answers with its name, the version of HTTP and whose certificate it was shown. /slow goes on
// once released.
func mintedHTTP(t *testing.T, spire *harness.SPIRE, id, name string, release <-chan struct{}) *minted {
	m, listener := listenMinted(t, spire, id)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		client := r.TLS.PeerCertificates[0]
		fmt.Fprintf(w, "%s %s %s %s", name, r.Proto, client.URIs[0], client.SerialNumber)
		if r.URL.Path == "/slow" {
			w.(http.Flusher).Flush()
			<-release
			io.WriteString(w, " to the end")
		}
	}), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	server.Protocols = new(http.Protocols)
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetHTTP2(true)
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	return m
}

// TestSPIFFEExample runs docs/examples/spiffe with a SPIRE server and agent: a gateway that starts before its
// agent, identities that are renewed every few seconds without a failed request, servers that are others, an
// authority that is replaced, and an identity that is taken back.
func TestSPIFFEExample(t *testing.T) {
	spire := harness.StartSPIRE(t)
	release := make(chan struct{})
	api := mintedHTTP(t, spire, "spiffe://example.org/api", "api", release)
	shop := mintedHTTP(t, spire, "spiffe://example.org/shop/1", "shop", nil)
	orders, listener := listenMinted(t, spire, "spiffe://example.org/orders")
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				c.SetDeadline(time.Now().Add(harness.Patience))
				if c.(*tls.Conn).Handshake() == nil {
					fmt.Fprintf(c, "orders %s\n", c.(*tls.Conn).ConnectionState().PeerCertificates[0].URIs[0])
				}
			}()
		}
	}()
	ordersAt := harness.FreeAddress(t)
	replacer := strings.NewReplacer(
		`":80"`, "$WEB", `":5432"`, ordersAt, "/run/spire/agent/api.sock", spire.Agent, "/etc/pergola/", "$DIR/",
		"entryPoints:\n  web:", "metrics: {prometheus: {}}\nentryPoints:\n  traefik: {address: $ADMIN}\n  web:",
		"10.0.0.1:8443", api.address, "10.0.0.2:8443", shop.address, "10.0.0.3:8443", shop.address, "10.0.0.4:5432", orders.address,
	)
	archive := ""
	for _, name := range []string{"pergola.yaml", "routes.yaml"} {
		text, err := os.ReadFile("../docs/examples/spiffe/" + name)
		if err != nil {
			t.Fatal(err)
		}
		archive += "-- " + name + " --\n" + replacer.Replace(string(text))
	}
	g := harness.Start(t, strings.ReplaceAll(archive, "`", "~"), nil) // though there is no agent

	ask := func(host, path string) (int, string) {
		request, err := http.NewRequest("GET", "http://"+g.Web+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = host
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(body)
	}
	until := func(host string, status int) {
		t.Helper()
		harness.Eventually(t, fmt.Sprintf("%s to answer %d", host, status), func() bool {
			got, _ := ask(host, "/")
			return got == status
		})
	}
	until("api.example.com", http.StatusBadGateway)
	if !strings.Contains(g.Log(), "No SPIFFE identity") || !strings.Contains(g.Log(), "see that the SPIFFE agent runs") {
		t.Error("the log does not say what is missing and what to do")
	}
	entry := spire.Register("spiffe://example.org/pergola", 6*time.Second)
	spire.StartAgent()
	until("api.example.com", http.StatusOK)
	until("shop.example.com", http.StatusOK)
	for host, want := range map[string]string{"api.example.com": "api HTTP/2.0 spiffe://example.org/pergola ", "shop.example.com": "shop HTTP/2.0 spiffe://example.org/pergola "} {
		if status, body := ask(host, "/"); status != http.StatusOK || !strings.HasPrefix(body, want) {
			t.Errorf("%s: %d %q", host, status, body)
		}
	}
	sayOrders := func() string {
		text, _ := io.ReadAll(harness.Dial(t, ordersAt))
		return string(text)
	}
	if got := sayOrders(); got != "orders spiffe://example.org/pergola\n" {
		t.Errorf("TCP: %q", got)
	}

	scraped := string(get(t, "http://"+g.Admin+"/metrics"))
	if line := regexp.MustCompile(`pergola_tls_certs_not_after\{.*sans="spiffe://example.org/pergola".*\} (\S+)`).FindStringSubmatch(scraped); line == nil {
		t.Error("the metrics do not tell when the identity ends")
	} else if end, err := strconv.ParseFloat(line[1], 64); err != nil || end < float64(time.Now().Add(-time.Minute).Unix()) || end > float64(time.Now().Add(time.Minute).Unix()) {
		t.Errorf("the metrics tell that the identity ends at %s, %v", line[1], err)
	}

	slow := make(chan string, 1)
	go func() {
		_, body := ask("api.example.com", "/slow")
		slow <- body
	}()
	serials := map[string]bool{}
	harness.Eventually(t, "two renewals", func() bool {
		status, body := ask("api.example.com", "/")
		if status != http.StatusOK {
			t.Fatalf("%d while identities are renewed", status)
		}
		serials[body[strings.LastIndexByte(body, ' ')+1:]] = true
		return len(serials) == 3
	})
	close(release)
	if body := harness.Within(t, "the response that was under way", slow); !strings.HasSuffix(body, " to the end") {
		t.Errorf("what was under way ended in %q", body)
	}

	api.mint(spire, "spiffe://example.org/shop/1")
	orders.mint(spire, "spiffe://example.org/shop/1")
	until("api.example.com", http.StatusBadGateway) // once its connections are replaced with the next identity
	if got := sayOrders(); got != "" {
		t.Errorf("TCP to another server: %q", got)
	}
	api.mint(spire, "spiffe://example.org/api")
	until("api.example.com", http.StatusOK)

	replace := spire.PrepareAuthority()
	until("api.example.com", http.StatusOK)
	replace()
	until("api.example.com", http.StatusBadGateway) // it has the identity of before
	api.mint(spire, "spiffe://example.org/api")
	until("api.example.com", http.StatusOK)

	spire.Unregister(entry)
	until("api.example.com", http.StatusBadGateway)
	if !strings.Contains(g.Log(), "no identity issued") {
		t.Error("the log does not say that the identity was taken back")
	}
}
