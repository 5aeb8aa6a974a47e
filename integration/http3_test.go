//go:build linux

package integration

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/pergola-mesh/pergola/integration/harness"
)

// page asks for more and sends a body, and writes down by which protocol that went.
const page = `<!doctype html><title>page</title><p id=result></p><script>
(async () => {
  const text = ['document ' + performance.getEntriesByType('navigation')[0].nextHopProtocol]
  const last = () => performance.getEntriesByType('resource').pop().nextHopProtocol
  await (await fetch('/more')).text()
  text.push('script ' + last())
  const answer = await fetch('/count', { method: 'POST', body: 'x'.repeat(300000) })
  text.push('body ' + await answer.text() + ' ' + last())
  document.getElementById('result').textContent = text.join(', ')
})()
</script>`

// startHTTP3 starts a gateway with the configuration of docs/examples/http3 before a backend with page, and
// returns it with the hash of its key, by which a browser may know it.
func startHTTP3(t *testing.T) (g *harness.Gateway, spki string) {
	backend := harness.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/":
			w.Header().Set("Content-Type", "text/html")
			io.WriteString(w, page)
		case "/following":
			w.Header().Set("Content-Type", "text/html")
			io.WriteString(w, following)
		case "/count":
			n, _ := io.Copy(io.Discard, r.Body)
			fmt.Fprint(w, n)
		case "/large":
			w.Write(bytes.Repeat([]byte("0123456789abcdef"), 1<<16))
		default:
			io.WriteString(w, "more")
		}
	}))
	archive, spki := http3Archive(t, backend)
	return harness.Start(t, archive, nil), spki
}

// http3Archive is the configuration of docs/examples/http3, for a backend, every host and a certificate of
// its own, and the hash of the key.
func http3Archive(t *testing.T, backend string) (archive, spki string) {
	for _, name := range []string{"pergola.yaml", "routes.yaml"} {
		text, err := os.ReadFile("../docs/examples/http3/" + name)
		if err != nil {
			t.Fatal(err)
		}
		archive += "-- " + name + " --\n" + string(text)
	}
	archive = strings.NewReplacer(":443", "$WEB", "/etc/pergola/routes.yaml", "$DIR/routes.yaml", "/etc/pergola/shop.pem", "$DIR/cert.pem",
		"/etc/pergola/shop.key", "$DIR/key.pem", "http://10.0.0.1:8080", backend, "Host(`shop.example`)", "PathPrefix(`/`)", "accessLog: {}", "accessLog: {}\nlog: {level: INFO}").Replace(archive)
	own := harness.SelfSigned()
	hash := sha256.Sum256(own.Leaf.RawSubjectPublicKeyInfo)
	return archive + "-- cert.pem --\n" + own.Chain + "-- key.pem --\n" + own.Key, base64.StdEncoding.EncodeToString(hash[:])
}

// TestABrowserLoadsAnHTTP3Page: Chromium, which is told to, speaks HTTP/3 from the first request on.
func TestABrowserLoadsAnHTTP3Page(t *testing.T) {
	g, spki := startHTTP3(t)
	dom := browse(t, "https://"+g.Web+"/", "--ignore-certificate-errors-spki-list="+spki, "--origin-to-force-quic-on="+g.Web)
	if want := "document h3, script h3, body 300000 h3"; !strings.Contains(dom, want) {
		t.Errorf("want %q in the document:\n%s", want, dom)
	}
	for _, request := range []string{"GET / HTTP/3.0", "GET /more HTTP/3.0", "POST /count HTTP/3.0"} {
		if !strings.Contains(g.Log(), `"`+request+`" 200`) {
			t.Errorf("the access log has no %q", request)
		}
	}
}

// following asks again and again, until an answer comes by HTTP/3.
const following = `<!doctype html><title>following</title><p id=result></p><script>
(async () => {
  const text = ['document ' + performance.getEntriesByType('navigation')[0].nextHopProtocol]
  let last = ''
  for (let i = 0; i < 200 && last != 'h3'; i++) {
    await (await fetch('/more?' + i)).text()
    last = performance.getEntriesByType('resource').pop().nextHopProtocol
  }
  text.push('script ' + last)
  document.getElementById('result').textContent = text.join(', ')
})()
</script>`

// TestABrowserFollowsAltSvc: Chromium comes by HTTP/2, is told of HTTP/3 by Alt-Svc, and changes over. It
// takes a certificate over QUIC only from a public authority, or for a host that it is to speak QUIC to at
// once: it is told so for another port of the host, so that here it begins as it does with anybody.
func TestABrowserFollowsAltSvc(t *testing.T) {
	g, spki := startHTTP3(t)
	host, _, _ := net.SplitHostPort(g.Web)
	dom := browse(t, "https://"+g.Web+"/following", "--ignore-certificate-errors-spki-list="+spki, "--origin-to-force-quic-on="+host+":1")
	if want := "document h2, script h3"; !strings.Contains(dom, want) {
		t.Errorf("want %q in the document:\n%s", want, dom)
	}
}

// TestHTTP3IsAnnounced: who comes by TCP is told of it.
func TestHTTP3IsAnnounced(t *testing.T) {
	g, _ := startHTTP3(t)
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Get("https://" + g.Web + "/")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	_, port, _ := net.SplitHostPort(g.Web)
	if got, want := response.Header.Get("Alt-Svc"), `h3=":`+port+`"; ma=2592000`; got != want || response.Proto != "HTTP/2.0" {
		t.Errorf("%s, Alt-Svc %q, want %q", response.Proto, got, want)
	}
}

// browse loads a page in Chromium and returns the document as its scripts have left it.
func browse(t *testing.T, url string, arguments ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 4*harness.Patience)
	defer cancel()
	command := exec.CommandContext(ctx, tool(t, "chromium"), append([]string{"--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
		"--user-data-dir=" + t.TempDir(), "--virtual-time-budget=20000", "--dump-dom", url}, arguments...)...)
	var said bytes.Buffer
	command.Stderr = &said
	dom, err := command.Output()
	if err != nil {
		t.Fatalf("chromium: %v\n%s", err, said.String())
	}
	return string(dom)
}

// TestNgtcp2Client: a client of another make fetches a page, a large one, and several at once.
func TestNgtcp2Client(t *testing.T) {
	g, _ := startHTTP3(t)
	host, port, _ := net.SplitHostPort(g.Web)
	directory := t.TempDir()
	ctx, cancel := context.WithTimeout(context.Background(), harness.Patience)
	defer cancel()
	base := "https://localhost:" + port
	out, err := exec.CommandContext(ctx, tool(t, "gtlsclient"), "--exit-on-all-streams-close", "--download="+directory, "--no-quic-dump",
		host, port, base+"/large", base+"/one", base+"/two").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, size := range map[string]int64{"large": 1 << 20, "one": 4, "two": 4} {
		if info, err := os.Stat(filepath.Join(directory, name)); err != nil || info.Size() != size {
			t.Errorf("%s: %v, want %d bytes", name, err, size)
		}
	}
	if n := len(regexp.MustCompile(`:status: 200`).FindAll(out, -1)); n != 3 {
		t.Errorf("%d responses with status 200:\n%s", n, out)
	}
}

// tool is the path of a program that make test installs.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%v: run the tests with make test, or: integration/tools/need %s", err, name)
	}
	return path
}
