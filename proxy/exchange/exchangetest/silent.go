package exchangetest

import (
	"io"
	"runtime"
	"sync"
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

// Held is how many bytes of the heap are in use, those that pools keep for later left out.
func Held() int {
	runtime.GC()
	runtime.GC() // what pools keep goes with the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
