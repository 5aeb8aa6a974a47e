package middlewares

import (
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"gopkg.in/yaml.v3"
)

// The README of a kind of TCP has one ```yaml block with a middleware of the kind, and ```conns blocks
// that say what becomes of connections: "ADDRESS enters", "ADDRESS leaves" or "ADDRESS is refused: KIND".
func TestTCPReadmeExamples(t *testing.T) {
	for _, name := range KindsTCP() {
		folder := strings.ToLower(strings.ReplaceAll(name, "White", "Allow"))
		text, err := os.ReadFile("tcp/" + folder + "/README.md")
		if err != nil {
			t.Fatal(err)
		}
		configs, transcripts := fenced(string(text), "yaml"), fenced(string(text), "conns")
		if len(configs) != 1 || len(transcripts) == 0 {
			t.Fatalf("%s: %d yaml blocks and %d conns blocks", name, len(configs), len(transcripts))
		}
		var config struct {
			TCP struct {
				Middlewares map[string]map[string]map[string]any
			}
		}
		if err := yaml.Unmarshal([]byte(configs[0]), &config); err != nil {
			t.Fatal(err)
		}
		for _, kinds := range config.TCP.Middlewares {
			for _, section := range kinds {
				g, err := NewTCP(testEnv(), name, section)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				for _, transcript := range transcripts {
					runConns(t, g, transcript)
				}
			}
		}
	}
}

func runConns(t *testing.T, g exchange.Gate, transcript string) {
	t.Helper()
	for line := range strings.SplitSeq(strings.TrimSpace(transcript), "\n") {
		address, want, _ := strings.Cut(line, " ")
		c := &exchange.Conn{Peer: netip.AddrPortFrom(netip.MustParseAddr(address), 1)}
		got := "leaves"
		if want == got {
			g.Leave(c)
		} else if err := g.Enter(c); err != nil {
			got = "is refused: " + exchange.KindOf(err).Error()
		} else {
			got = "enters"
		}
		if got != want {
			t.Errorf("%s: %s", line, got)
		}
	}
}

func TestUnknownTCPKind(t *testing.T) {
	for name, want := range map[string]string{
		"":             "the middleware has no kind: give it one, such as ipAllowList",
		"ipAllowLists": `unknown middleware kind "ipAllowLists": did you mean ipAllowList?`,
		"compress":     `unknown middleware kind "compress": there are inFlightConn, ipAllowList, ipWhiteList`,
	} {
		if _, err := NewTCP(testEnv(), name, nil); err == nil || err.Error() != want {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := NewTCP(testEnv(), "inflightconn", map[string]any{"amounts": 1}); err == nil || !strings.Contains(err.Error(), "amounts") {
		t.Errorf("a wrong key: %v", err)
	}
}
