package snapshot

import (
	"fmt"
	"strings"
	"testing"
)

// TestSlowStart: a server that joins a service gets a small share at first, as slowStart says.
func TestSlowStart(t *testing.T) {
	f := newFixture(t)
	config := func(servers string) string {
		return fmt.Sprintf("http: {routers: {r: {rule: Path(`/`), service: s}}, services: {s: {loadBalancer: {servers: [%s], slowStart: 1h}}}}", servers)
	}
	f.load(t, config(`{url: "http://old"}`))
	f.load(t, config(`{url: "http://old"}, {url: "http://new"}`))
	joined := 0
	for range 1000 {
		if strings.Contains(ask(f.live.Handler("web"), "GET", "/"), "http://new") {
			joined++
		}
	}
	if joined < 10 || joined > 150 {
		t.Errorf("the server that joined got %d of 1000 requests, want about 50", joined)
	}
}
