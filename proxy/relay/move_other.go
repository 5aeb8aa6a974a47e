//go:build !linux

package relay

import "sync/atomic"

// move passes bytes until from ends. The error is that of reading or of writing.
func move(to, from *side, count *atomic.Int64) (reading bool, err error) {
	return copyBuffered(to.Conn, from.Conn, count)
}
