//go:build linux

package harness

import (
	"net"
	"testing"
)

// TestFreeAddress: every address is given once, and none that somebody listens on.
func TestFreeAddress(t *testing.T) {
	given := map[string]bool{}
	for range 500 {
		address := FreeAddress(t)
		if given[address] {
			t.Fatalf("%s was given twice", address)
		}
		given[address] = true
		listener, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
	}
	for address := range given {
		if isFree(address) {
			t.Fatalf("%s is listened on", address)
		}
	}
}
