package h1

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/pergola-mesh/pergola/internal/sweep"
	"github.com/pergola-mesh/pergola/internal/waittest"
)

// Idle connections have no goroutine, and lose nothing by it: whenever the next request comes, also in
// the moment of parking, it is answered.
func TestIdleConnectionsPark(t *testing.T) {
	if portable {
		return // they keep their goroutines
	}
	r := newRig(t, nil, echoUpstream)
	const n = 100
	before := runtime.NumGoroutine()
	var clients sync.WaitGroup
	pause, again := make(chan struct{}), make(chan struct{})
	var paused sync.WaitGroup
	paused.Add(n)
	for i := range n {
		c := r.dial()
		clients.Go(func() {
			br := bufio.NewReader(c)
			ask := func(body string) bool {
				fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", len(body))
				time.Sleep(rand.N(time.Millisecond)) // some bodies come in the same read, some do not
				io.WriteString(c, body)
				head, err := readHead(br)
				got := make([]byte, len(body))
				if err == nil {
					_, err = io.ReadFull(br, got)
				}
				if err != nil || string(got) != body || !strings.HasPrefix(head, "HTTP/1.1 200") {
					t.Errorf("client %d: %v %q %q", i, err, head, got)
					return false
				}
				return true
			}
			if !ask("first") {
				paused.Done()
				return
			}
			// Around the time at which the sweeper parks connections.
			time.Sleep(parkAfter + rand.N(800*time.Millisecond))
			ask("second")
			paused.Done()
			<-pause
			ask("third")
			<-again
		})
	}
	paused.Wait()
	waittest.Until(t, "the goroutines end", func() bool {
		// The clients' own and the scripted server's are still there.
		return runtime.NumGoroutine() < before+2*n+20 && parkedCount(r) == n
	})
	close(pause)
	waittest.Until(t, "all third requests are answered", func() bool { return len(r.records()) == 3*n })
	close(again)
	clients.Wait()
}

func parkedCount(r *rig) int {
	n := 0
	r.server.sweeper.Each(func(e sweep.Entry) {
		if c, ok := e.(*conn1); ok && c.progress.phase() == parked {
			n++
		}
	})
	return n
}

func TestParkedConnectionsEnd(t *testing.T) {
	if portable {
		return
	}
	r := newRig(t, nil, answer(ok))
	const idle = 4 * time.Second
	r.server.Timeouts.Idle = idle
	began := time.Now()
	c := r.dial()
	br := bufio.NewReader(c)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	readHead(br)
	io.ReadFull(br, make([]byte, 2))
	waittest.Until(t, "parked", func() bool { return parkedCount(r) == 1 })
	if _, err := br.ReadByte(); err != io.EOF {
		t.Errorf("ended with %v", err)
	}
	if d := time.Since(began); d < idle {
		t.Errorf("closed after %v", d)
	}
	gone := r.dial()
	io.WriteString(gone, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	waittest.Until(t, "parked", func() bool { return parkedCount(r) == 1 })
	gone.Close()
	waittest.Until(t, "a parked connection that the client closes ends", func() bool { return r.server.Active() == 0 })
}

// While it is idle a connection is a conn1 and what that was given. Sizes of allocations go up in steps.
func TestConnIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(conn1{}); n > 240 {
		t.Errorf("a conn1 takes %d bytes: put what only an exchange needs into its workspace", n)
	}
}
