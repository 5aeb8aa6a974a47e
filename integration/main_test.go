//go:build linux

// Package integration tests the binary from outside: real processes, real sockets, real signals.
package integration

import (
	"flag"
	"os"
	"testing"
	"time"
)

// The long forms of the tests under load: go test ./integration -args -load=60s
var loadTime = flag.Duration("load", 10*time.Second, "how long the tests under load run")

// uploadSize is what the streaming test sends: go test ./integration -args -upload=10240
var uploadSize = flag.Int64("upload", 512, "size of the streamed upload in MiB")

// TestMain runs the tests, or a backend if that is what this process was started as.
func TestMain(m *testing.M) {
	if address := os.Getenv("INTEGRATION_BACKEND"); address != "" {
		runRecorder(address)
		return
	}
	os.Exit(m.Run())
}

// oneBackend is a configuration with one route to $BACKEND for everything.
const oneBackend = `
-- static.yaml --
entryPoints:
  web:
    address: $WEB
providers:
  providersThrottleDuration: 50ms
  file:
    directory: $DIR/dynamic
    watch: true
log:
  level: INFO
-- dynamic/routes.yaml --
http:
  routers:
    all:
      rule: PathPrefix(~/~)
      service: backend
  services:
    backend:
      loadBalancer:
        servers:
          - url: $BACKEND
`
