//go:build linux

package integration

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestTestssl has testssl.sh look at an entry point with the default TLS options: protocols, ciphers,
// forward secrecy, server defaults other than the certificate, and every known vulnerability.
func TestTestssl(t *testing.T) {
	g, _ := startTLS(t)
	report := filepath.Join(t.TempDir(), "report.json")
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, tool(t, "testssl"), "--quiet", "--color=0", "--warnings=off", "--nodns=none", "--ip=127.0.0.1",
		"--jsonfile="+report, "--protocols", "--std", "--fs", "--vulnerable", "https://a.test"+g.Web[len("127.0.0.1"):])
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
	severities := map[string]int{}
	for _, f := range findings {
		severities[f.Severity]++
		if f.ID == "engine_problem" {
			continue // of testssl.sh itself
		}
		if f.Severity != "OK" && f.Severity != "INFO" {
			t.Errorf("%s %s: %s", f.Severity, f.ID, f.Finding)
		}
	}
	if severities["OK"] < 20 {
		t.Errorf("only %v was looked at:\n%s", severities, output)
	}
}
