package h3

import (
	"bufio"
	"context"
	"io"
	"sync/atomic"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/quicvarint"

	"github.com/pergola-mesh/pergola/proxy/h3/frame"
)

// uniStreams are the client's unidirectional streams.
type uniStreams struct {
	seen    [frame.DecoderStream + 1]atomic.Bool
	unknown atomic.Int32
}

func (c *conn) acceptUni() {
	for {
		q, err := c.quic.AcceptUniStream(context.Background())
		if err != nil {
			return
		}
		c.wg.Go(func() { c.fail(c.serveUni(q)) })
	}
}

// serveUni reads a stream by its type. RFC 9114 §6.2.
func (c *conn) serveUni(q *quic.ReceiveStream) error {
	r := bufio.NewReaderSize(q, 64)
	kind, err := quicvarint.Read(r)
	if err != nil {
		q.ReleaseStreamCredit()
		return nil // a stream may end before its type is told
	}
	switch kind {
	case frame.PushStream:
		return faultStream // only servers push
	case frame.ControlStream, frame.EncoderStream, frame.DecoderStream:
		if c.uni.seen[kind].Swap(true) {
			return faultStream
		}
	default:
		q.CancelRead(codeStreamCreation)
		if c.uni.unknown.Add(1) <= maxUnknown {
			q.ReleaseStreamCredit()
		}
		return nil
	}
	switch kind {
	case frame.ControlStream:
		err = c.readControl(r)
	case frame.EncoderStream:
		err = readInstructions(r, func(b byte) bool { return b == 0x20 }, faultEncoder)
	case frame.DecoderStream:
		err = readInstructions(r, skipCancellation(r), faultDecoder)
	}
	if err == io.EOF || isReset(err) {
		return faultCritical // RFC 9114 §6.2.1, RFC 9204 §4.2
	}
	return err
}

func isReset(err error) bool {
	s, ok := err.(*quic.StreamError)
	return ok && s.Remote
}

// readInstructions reads a stream of QPACK, on which only what allowed takes may come. Without a dynamic
// table that is next to nothing: its capacity set to 0, and streams that the client is done with.
// RFC 9204 §4.3, §4.4.
func readInstructions(r *bufio.Reader, allowed func(byte) bool, otherwise *fault) error {
	for {
		b, err := r.ReadByte()
		if err != nil {
			return err
		}
		if !allowed(b) {
			return otherwise
		}
	}
}

// skipCancellation takes a Stream Cancellation with its number. RFC 9204 §4.4.2.
func skipCancellation(r *bufio.Reader) func(byte) bool {
	return func(b byte) bool {
		if b&0xc0 != 0x40 {
			return false
		}
		for n := 0; b&0x3f == 0x3f || n > 0; n++ {
			next, err := r.ReadByte()
			if err != nil || n > 9 {
				return false
			}
			if next&0x80 == 0 {
				break
			}
		}
		return true
	}
}
