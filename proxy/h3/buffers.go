package h3

import (
	"fmt"
	"net"
	"os"
)

// socketBuffer is how much a UDP socket should hold in either direction, in bytes: what arrives while the
// process has other things to do is lost beyond that.
const socketBuffer = 7 << 20

// RaiseBuffers gives a socket larger buffers. The error says what to do about a system that allows too
// little; the socket works nevertheless.
func RaiseBuffers(c *net.UDPConn) error {
	os.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true") // ours says more, and says it in the log
	in, out, err := raise(c, socketBuffer)
	if err != nil {
		return fmt.Errorf("the buffers of the UDP socket cannot be set: %w", err)
	}
	if in >= 0 && (in < socketBuffer || out < socketBuffer) {
		return fmt.Errorf("the system allows UDP buffers of %d KiB in and %d KiB out, of the %d KiB wanted: "+
			"raise net.core.rmem_max and net.core.wmem_max to %d, or grant CAP_NET_ADMIN",
			in>>10, out>>10, socketBuffer>>10, socketBuffer)
	}
	return nil
}
