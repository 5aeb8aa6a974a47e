//go:build linux

package integration

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/integration/harness"
)

// hardened is overTLS as one would have it in public: with answers of OCSP, and the headers that browsers
// are to be told.
var hardened = strings.NewReplacer("entryPoints:", "ocsp: {}\nentryPoints:", `
    secure:
      rule: Host(~a.test~)
      service: backend
`, `
    secure:
      rule: Host(~a.test~)
      service: backend
      middlewares: [hardened]
`, "  services:\n", `  middlewares:
    hardened:
      headers:
        stsSeconds: 31536000
        frameDeny: true
        contentTypeNosniff: true
        referrerPolicy: same-origin
        contentSecurityPolicy: default-src 'self'
  services:
`).Replace(overTLS)

// unmended are findings that say nothing of the gateway.
var unmended = map[string]string{
	"engine_problem": "of testssl.sh itself",
	// crypto/tls tells clients of TLS 1.2 that a ticket is good for a week. It is encrypted under a secret of
	// one day, which is kept for that week. docs/reference/dynamic.md: disableSessionTickets turns them off.
	"TLS_session_ticket": "crypto/tls",
}

// TestTestssl has testssl.sh look at an entry point with the default TLS options: protocols, ciphers,
// forward secrecy, every known vulnerability, bugs with odd handshakes, what the server shows of itself and
// prefers, the certificate, signed by an authority that testssl.sh is told to trust, with its OCSP answer,
// and the header of a response.
func TestTestssl(t *testing.T) {
	g := harness.Prepare(t, hardened, harness.Vars{"BACKEND": harness.Whoami(t, "one")})
	authority := harness.NewAuthority(t)
	authority.ServeOCSP()
	pair := authority.Issue("a.test")
	g.Write("cert.pem", pair.Chain+authority.PEM)
	g.Write("key.pem", pair.Key)
	g.Write("ca.pem", authority.PEM)
	g.Run()
	harness.Eventually(t, "the OCSP answer", func() bool {
		return strings.Contains(sClient(t, g, "a.test", "-status"), "OCSP Response Status: successful")
	})
	report := filepath.Join(t.TempDir(), "report.json")
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, tool(t, "testssl"), "--quiet", "--color=0", "--warnings=off", "--nodns=none", "--ip=127.0.0.1",
		"--jsonfile="+report, "--add-ca="+filepath.Join(g.Dir, "ca.pem"), "--protocols", "--std", "--fs", "--vulnerable", "--server-preference",
		"--server-defaults", "--headers", "--grease", "https://a.test"+g.Web[len("127.0.0.1"):])
	output, err := command.CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("%v:\n%s", err, output)
	}
	text, err := os.ReadFile(report)
	if err != nil {
		t.Fatalf("%v:\n%s", err, output)
	}
	var findings []struct{ ID, Severity, Finding string }
	if err := json.Unmarshal(text, &findings); err != nil {
		t.Fatal(err)
	}
	seen, severities := map[string]string{}, map[string]int{}
	for _, f := range findings {
		seen[f.ID] = f.Severity
		severities[f.Severity]++
		if f.Severity != "OK" && f.Severity != "INFO" && unmended[f.ID] == "" {
			t.Errorf("%s %s: %s", f.Severity, f.ID, f.Finding)
		}
	}
	if severities["OK"] < 30 {
		t.Errorf("only %v was looked at:\n%s", severities, output)
	}
	for _, id := range []string{"cert_chain_of_trust", "cert_trust", "OCSP_stapling", "HSTS_time", "heartbleed", "protocol_negotiated", "TLS1_3"} {
		if seen[id] != "OK" {
			t.Errorf("%s is %q, want OK", id, seen[id])
		}
	}
}
