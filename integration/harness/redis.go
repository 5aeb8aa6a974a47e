//go:build linux

package harness

import (
	"net"
	"testing"
)

// Redis starts a Redis server that keeps nothing on disk, and returns its host:port.
func Redis(t testing.TB) string {
	t.Helper()
	address := FreeAddress(t)
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	Process(t, address, nil, "redis-server", "--bind", host, "--port", port, "--save", "", "--appendonly", "no")
	return address
}
