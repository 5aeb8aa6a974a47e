//go:build !linux

package listen

// Parked is a connection without a goroutine.
type Parked interface {
	// Wake is called when there is something to read.
	Wake()
}

// Park reports that connections are not parked on this platform.
func (c *Conn) Park(Parked) bool { return false }

// Unpark has nothing to take back.
func (c *Conn) Unpark() bool { return false }
