package exchangetest

import (
	"io"
	"runtime"
	"sync"
	"testing"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// Silent is a tunnel whose server says nothing until it is closed.
type Silent struct {
	over chan struct{}
	once sync.Once
}

// NewSilent makes one.
func NewSilent() *Silent { return &Silent{over: make(chan struct{})} }

// Next is exchange.Yielder.
func (s *Silent) Next() ([]byte, error) {
	<-s.over
	return nil, io.EOF
}

// Read waits for the end.
func (s *Silent) Read([]byte) (int, error) {
	_, err := s.Next()
	return 0, err
}

// Write takes what it is given.
func (s *Silent) Write(p []byte) (int, error) { return len(p), nil }

// CloseWrite ends both directions, as Close does.
func (s *Silent) CloseWrite() error { return s.Close() }

// Close ends the tunnel.
func (s *Silent) Close() error {
	s.once.Do(func() { close(s.over) })
	return nil
}

// IdleTunnels opens tunnels, waits on each for what its server says, and fails t if one more holds over most bytes of
// heap, those that pools keep for later left out. open returns an exchange whose handler has left a tunnel.
func IdleTunnels(t *testing.T, tunnels, most int, open func() *exchange.Exchange) {
	t.Helper()
	var all sync.WaitGroup
	var opened []*exchange.Exchange
	more := func(n int) {
		for range n {
			x := open()
			opened = append(opened, x)
			all.Go(func() {
				in := exchange.IntakeOf(x.Response.Tunnel)
				defer in.Free()
				in.Next()
			})
		}
	}
	more(10)
	before := Held()
	more(tunnels)
	AtMost(t, (Held()-before)/tunnels, most)
	for _, x := range opened {
		x.Response.Tunnel.Close()
	}
	all.Wait()
	for _, x := range opened {
		x.Response.Close()
		x.Free()
	}
}

// AtMost fails t where each of some things holds more than most bytes of heap.
func AtMost(t *testing.T, each, most int) {
	t.Helper()
	if t.Logf("%d bytes of heap for each", each); each > most {
		t.Errorf("at most %d were to be held", most)
	}
}

// Held is how many bytes of the heap are in use, those that pools keep for later left out.
func Held() int {
	runtime.GC()
	runtime.GC() // what pools keep goes with the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
