package listen

import (
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/internal/nettest"
	"github.com/pergola-mesh/pergola/internal/waittest"
)

// What a peer takes is seen while a write waits; a byte now and then is not taken for it.
func TestTaken(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells")
	}
	near, far := nettest.Pair(t)
	far.SetReadBuffer(64 << 10)
	c := NewConn(near, nil)
	near.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
	if err := c.Write(make([]byte, 64<<20)); err == nil {
		t.Fatal("the socket took all")
	}
	if !c.Taken() || c.Taken() {
		t.Fatal("what was there at first is not told once")
	}
	io.ReadFull(far, make([]byte, 1))
	if c.Taken() {
		t.Error("a byte is told")
	}
	for range 3 {
		io.ReadFull(far, make([]byte, 512<<10))
		waittest.Until(t, "it is told that the peer has taken something", c.Taken)
	}
}
