package h2

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/pergola-mesh/pergola/internal/clock"
	"github.com/pergola-mesh/pergola/internal/sweep"
	"github.com/pergola-mesh/pergola/proxy/h2/frame"
)

// TestSweptAsItBegins: a connection that the sweeper comes to at once says what it has to say once.
func TestSweptAsItBegins(t *testing.T) {
	p := newTestPool(t, PoolConfig{})
	stop := make(chan struct{})
	var sweeping sync.WaitGroup
	sweeping.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				poolSweeper.Each(func(e sweep.Entry) { e.Sweep(clock.Now()) })
			}
		}
	})
	for range 100 {
		near, far := net.Pipe()
		newUpConn(p, near)
		said := make([]byte, len(frame.Preface))
		if _, err := io.ReadFull(far, said); err != nil || !bytes.Equal(said, []byte(frame.Preface)) {
			t.Errorf("%q, %v", said, err)
		}
		far.Close()
	}
	close(stop)
	sweeping.Wait()
}
