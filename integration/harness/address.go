//go:build linux

package harness

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
)

// addresses are those that FreeAddress gives out.
var addresses struct {
	sync.Mutex
	first, count int // the ports to choose from
	next         int // counted from first; it goes round
}

// FreeAddress is a loopback address that nobody listens on, over TCP or UDP. It is given once, and its port is not
// one of those that the kernel chooses for connections and listeners by itself: until somebody listens on it,
// nothing else comes to.
func FreeAddress(t testing.TB) string {
	t.Helper()
	a := &addresses
	a.Lock()
	defer a.Unlock()
	if a.count == 0 {
		a.first, a.count = portsToGive()
		a.next = rand.IntN(a.count)
	}
	for range a.count {
		address := fmt.Sprintf("127.0.0.1:%d", a.first+a.next)
		a.next = (a.next + 1) % a.count
		if isFree(address) {
			return address
		}
	}
	t.Fatalf("no port from %d to %d is free", a.first, a.first+a.count-1)
	return ""
}

// portsToGive are the ports below those of the kernel, ip(7), and above most of those that programs have by default;
// where there are few, some that the kernel may give to others too.
func portsToGive() (first, count int) {
	first, kernels := 12000, 0
	if text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		fmt.Sscan(string(text), &kernels)
	}
	if kernels < first+5000 {
		return first, 20000
	}
	return first, kernels - first
}

func isFree(address string) bool {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return false
	}
	defer listener.Close()
	socket, err := net.ListenPacket("udp", address)
	if err != nil {
		return false
	}
	return socket.Close() == nil
}
