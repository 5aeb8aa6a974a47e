//go:build linux

package integration

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/integration/harness"
	"github.com/pergola-mesh/pergola/internal/waittest"
)

// overTLS has a.test for everybody, and mtls.test for those who have a certificate of the authority's.
const overTLS = `
-- static.yaml --
entryPoints:
  web:
    address: $WEB
providers:
  providersThrottleDuration: 50ms
  file:
    directory: $DIR/dynamic
    watch: true
accessLog:
  filePath: $DIR/access.log
  format: json
log:
  level: INFO
-- dynamic/routes.yaml --
http:
  routers:
    plain:
      rule: PathPrefix(~/~)
      service: backend
    secure:
      rule: Host(~a.test~)
      service: backend
      tls: {}
    mutual:
      rule: Host(~mtls.test~)
      service: backend
      tls:
        options: mutual
  services:
    backend:
      loadBalancer:
        servers:
          - url: $BACKEND
tls:
  certificates:
    - certFile: $DIR/cert.pem
      keyFile: $DIR/key.pem
  options:
    mutual:
      clientAuth:
        caFiles: [$DIR/ca.pem]
        clientAuthType: RequireAndVerifyClientCert
`

// startTLS starts overTLS, whose certificate is signed by the returned authority.
func startTLS(t *testing.T) (*harness.Gateway, *harness.Authority) {
	t.Helper()
	return startTLSWith(t, overTLS)
}

// startTLSWith is startTLS with a configuration that is overTLS and more.
func startTLSWith(t *testing.T, archive string) (*harness.Gateway, *harness.Authority) {
	t.Helper()
	g := harness.Prepare(t, archive, harness.Vars{"BACKEND": harness.Whoami(t, "one")})
	authority := harness.NewAuthority(t)
	g.WritePair("cert.pem", "key.pem", authority.Issue("a.test", "mtls.test"))
	g.Write("ca.pem", authority.PEM)
	g.WritePair("client.pem", "client.key", authority.Issue("client.test"))
	g.Run()
	return g, authority
}

// sClient runs openssl s_client with a request for host, and returns all that it printed.
func sClient(t *testing.T, g *harness.Gateway, host string, arguments ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), harness.Patience)
	defer cancel()
	arguments = append([]string{"s_client", "-connect", g.Web, "-servername", host, "-CAfile", filepath.Join(g.Dir, "ca.pem"),
		"-verify_return_error", "-ign_eof"}, arguments...)
	command := exec.CommandContext(ctx, "openssl", arguments...)
	command.Stdin = strings.NewReader("GET /headers HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n")
	output, _ := command.CombinedOutput() // what it says tells success from failure
	return string(output)
}

// TestTLSClients has clients that are not ours connect in every way.
func TestTLSClients(t *testing.T) {
	g, _ := startTLS(t)
	client := []string{"-cert", filepath.Join(g.Dir, "client.pem"), "-key", filepath.Join(g.Dir, "client.key")}
	for name, tt := range map[string]struct {
		host      string
		arguments []string
		want      []string
	}{
		"TLS 1.3":              {"a.test", []string{"-tls1_3"}, []string{"TLSv1.3", "HTTP/1.1 200 OK", "Verify return code: 0 (ok)"}},
		"TLS 1.2":              {"a.test", []string{"-tls1_2"}, []string{"TLSv1.2", "HTTP/1.1 200 OK", "Verify return code: 0 (ok)"}},
		"TLS 1.1":              {"a.test", []string{"-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"}, []string{"alert"}},
		"ALPN":                 {"a.test", []string{"-alpn", "http/1.1"}, []string{"ALPN protocol: http/1.1", "HTTP/1.1 200 OK"}},
		"P-256":                {"a.test", []string{"-groups", "P-256"}, []string{"HTTP/1.1 200 OK"}},
		"small records":        {"a.test", []string{"-max_send_frag", "512", "-split_send_frag", "20"}, []string{"HTTP/1.1 200 OK"}},
		"another name":         {"b.test", nil, []string{"alert number 112"}},
		"with a certificate":   {"mtls.test", client, []string{"HTTP/1.1 200 OK"}},
		"without one":          {"mtls.test", nil, []string{"alert"}},
		"without one, TLS 1.2": {"mtls.test", []string{"-tls1_2"}, []string{"alert"}},
	} {
		t.Run(name, func(t *testing.T) {
			out := sClient(t, g, tt.host, tt.arguments...)
			for _, want := range tt.want {
				if !strings.Contains(out, want) {
					t.Errorf("there is no %q in:\n%s", want, out)
				}
			}
			if strings.Contains(tt.want[0], "alert") && strings.Contains(out, "HTTP/1.1 200") {
				t.Errorf("it was served:\n%s", out)
			}
		})
	}
	t.Run("resumption", func(t *testing.T) {
		for _, version := range []string{"-tls1_2", "-tls1_3"} {
			session := filepath.Join(t.TempDir(), "session")
			sClient(t, g, "a.test", version, "-sess_out", session)
			if out := sClient(t, g, "a.test", version, "-sess_in", session); !strings.Contains(out, "Reused, ") || !strings.Contains(out, "HTTP/1.1 200 OK") {
				t.Errorf("%s: not resumed:\n%s", version, out)
			}
			// A session of a lax policy proves nothing to a strict one.
			if out := sClient(t, g, "mtls.test", version, "-sess_in", session); strings.Contains(out, "HTTP/1.1 200") {
				t.Errorf("%s: resumption took the place of a certificate:\n%s", version, out)
			}
		}
	})
	t.Run("curl", func(t *testing.T) {
		out, err := exec.CommandContext(t.Context(), "curl", "-sS", "--max-time", "20", "--cacert", filepath.Join(g.Dir, "ca.pem"),
			"--connect-to", "a.test:443:"+g.Web, "--http1.1", "https://a.test/?one", "https://a.test/?two").CombinedOutput()
		if err != nil || strings.Count(string(out), "X-Forwarded-Proto: https") != 2 {
			t.Errorf("%v\n%s", err, out)
		}
	})
	t.Run("plaintext", func(t *testing.T) {
		c := harness.Dial(t, g.Web)
		c.Send("GET / HTTP/1.1\nHost: a.test\n\n")
		if r, body := c.Response("GET"); r.StatusCode != 200 || !strings.Contains(body, "X-Forwarded-Proto: http\n") {
			t.Errorf("%s\n%s", r.Status, body)
		}
	})
	harness.Eventually(t, "the log tells of TLS", func() bool {
		text, err := os.ReadFile(filepath.Join(g.Dir, "access.log"))
		if err != nil {
			t.Fatal(err)
		}
		log := string(text)
		return strings.Contains(log, `"TLSVersion":"1.2"`) && strings.Contains(log, `"TLSVersion":"1.3"`) &&
			strings.Contains(log, `"TLSClientSubject":"CN=client.test"`) && strings.Contains(log, `"TLSCipher":"TLS_`)
	})
}

// TestKeyUpdates has the client change its keys, and ask for ours to change, between requests.
func TestKeyUpdates(t *testing.T) {
	g, _ := startTLS(t)
	command := exec.CommandContext(t.Context(), "openssl", "s_client", "-connect", g.Web, "-servername", "a.test",
		"-CAfile", filepath.Join(g.Dir, "ca.pem"), "-tls1_3")
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out waittest.Buffer
	command.Stdout, command.Stderr = &out, &out
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		command.Process.Kill()
		command.Wait()
	})
	for n := range 3 {
		io.WriteString(in, "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
		harness.Eventually(t, "an answer", func() bool { return strings.Count(out.String(), "HTTP/1.1 200 OK") == n+1 })
		io.WriteString(in, []string{"K\n", "k\n"}[n%2])
		harness.Eventually(t, "new keys", func() bool { return strings.Count(out.String(), "KEYUPDATE") == n+1 })
	}
}

// TestCertificateChangesUnderLoad replaces the certificate's files again and again, while clients make new
// connections and use kept ones. No request fails, and every certificate comes into force.
func TestCertificateChangesUnderLoad(t *testing.T) {
	g, authority := startTLS(t)
	var served sync.Map // serial numbers
	check := func(response *http.Response, body []byte) error {
		served.Store(response.TLS.PeerCertificates[0].SerialNumber.String(), true)
		return harness.WantStatus(200)(response, body)
	}
	next := func(close bool) func() *http.Request {
		return func() *http.Request {
			r, err := http.NewRequest("GET", "https://"+g.Web+"/", nil)
			if err != nil {
				panic(err)
			}
			r.Host, r.Close = "a.test", close
			return r
		}
	}
	config := &tls.Config{RootCAs: authority.Pool(), ServerName: "a.test"}
	fresh := harness.NewTLSLoad(t, 2, config, next(true), check)
	kept := harness.NewTLSLoad(t, 2, config, next(false), harness.WantStatus(200))
	var changes atomic.Int64
	for end := time.Now().Add(*loadTime / 2); time.Now().Before(end); changes.Add(1) {
		pair := authority.Issue("a.test", "mtls.test")
		// Between the two a key stands beside another's certificate: what was in force stays.
		g.WritePair("cert.pem", "key.pem", pair)
		harness.Eventually(t, "the new certificate", func() bool {
			_, ok := served.Load(pair.Leaf.SerialNumber.String())
			return ok
		})
	}
	fresh.MustNotFail(t, 100)
	kept.MustNotFail(t, 100)
	if changes.Load() < 3 {
		t.Errorf("only %d changes", changes.Load())
	}
	t.Logf("%d handshakes and %d requests on kept connections over %d changes", fresh.Done.Load(), kept.Done.Load(), changes.Load())
}

// TestServersCertificatesChangeUnderLoad moves a server from one authority to another, with a client
// certificate that changes too. No request fails, a response that is under way goes on, and once its
// authority is gone a server is not trusted any more.
func TestServersCertificatesChangeUnderLoad(t *testing.T) {
	first, second := harness.NewAuthority(t), harness.NewAuthority(t)
	var shown atomic.Pointer[tls.Certificate] // by the server
	var clients sync.Map                      // names of clients' certificates, as the server saw them
	show := func(a *harness.Authority) {
		pair := a.Issue("backend.test").Certificate
		shown.Store(&pair)
	}
	show(first)
	release := make(chan struct{})
	backend := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		clients.Store(r.TLS.PeerCertificates[0].Subject.CommonName, true)
		if r.URL.Path == "/slow" {
			io.WriteString(w, "begun ")
			w.(http.Flusher).Flush()
			<-release
		}
		io.WriteString(w, "done")
	}))
	backend.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return shown.Load(), nil }}
	backend.StartTLS()
	t.Cleanup(backend.Close)
	g := harness.Prepare(t, oneBackend+`        serversTransport: mutual
  serversTransports:
    mutual:
      serverName: backend.test
      rootCAs: [$DIR/ca.pem]
      certificates:
        - certFile: $DIR/client.pem
          keyFile: $DIR/client.key
`, harness.Vars{"BACKEND": "https://" + backend.Listener.Addr().String()})
	identify := func(name string) {
		g.WritePair("client.pem", "client.key", first.Issue(name))
		harness.Eventually(t, "the server to see "+name, func() bool {
			_, ok := clients.Load(name)
			return ok
		})
	}
	one := first.Issue("one")
	g.WritePair("client.pem", "client.key", one)
	g.Write("ca.pem", first.PEM)
	g.Run()
	g.AwaitStatus("/", 200)
	slow := harness.Dial(t, g.Web)
	slow.Send("GET /slow HTTP/1.1\nHost: h\n\n")
	if head := slow.Head(); !strings.Contains(head, "200 OK") {
		t.Fatal(head)
	}
	load := harness.NewLoad(t, 4, request("http://"+g.Web+"/"), harness.WantStatus(200))
	identify("two")
	g.Write("ca.pem", first.PEM+second.PEM)
	identify("three") // so both authorities are in force
	show(second)
	identify("four")
	g.Write("ca.pem", second.PEM)
	identify("five")
	load.MustNotFail(t, 50)
	show(first)
	g.WritePair("client.pem", "client.key", one) // a new pool, whose connections are new
	g.AwaitStatus("/", 502)
	close(release)
	if rest, err := io.ReadAll(io.LimitReader(slow, 30)); !strings.Contains(string(rest), "done") {
		t.Errorf("the response that was under way: %v %q", err, rest)
	}
}
