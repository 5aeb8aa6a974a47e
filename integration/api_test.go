//go:build linux

package integration

import (
	"strings"
	"testing"

	"github.com/pergola-mesh/pergola/integration/harness"
)

// TestAPIByName reaches the API over loopback as a proxy on the same machine does, by the name its clients
// know. Without api.hosts the name could be that of any site.
func TestAPIByName(t *testing.T) {
	files := strings.Replace(oneBackend, "log:\n", "api: {hosts: [gw.test]}\nlog:\n", 1)
	files = strings.Replace(files, "service: backend", "service: api@internal", 1)
	g := harness.Start(t, files, harness.Vars{"BACKEND": "http://127.0.0.1:1"})
	g.AwaitHost("gw.test", "/api/version", 200)
	g.AwaitHost("localhost", "/api/version", 200)
	g.AwaitHost("other.test", "/api/version", 403)
}
