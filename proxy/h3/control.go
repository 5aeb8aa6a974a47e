package h3

import (
	"bufio"
	"io"

	"github.com/quic-go/quic-go/quicvarint"

	"github.com/pergola-mesh/pergola/proxy/h3/frame"
)

// maxIdleControl is how many frames without an effect a client may send on the control stream, and how
// many more for every request.
const (
	maxIdleControl  = 200
	idlePerRequest  = 20
	maxControlFrame = 64 << 10
)

// readControl reads the client's control stream until it ends, which it must not. RFC 9114 §6.2.1, §7.2.
func (c *conn) readControl(r *bufio.Reader) error {
	h, err := readHead(r)
	if err != nil {
		return err
	}
	if h.Type != frame.Settings {
		return faultNoSettings
	}
	if err := readSettings(r, h.Length); err != nil {
		return err
	}
	goAway, maxPush := uint64(1<<62), uint64(0)
	for n := 0; ; n++ {
		if n > maxIdleControl+idlePerRequest*int(c.requests.Load()) {
			return faultControlLoad
		}
		h, err := readHead(r)
		if err != nil {
			return err
		}
		switch h.Type {
		case frame.GoAway: // of pushes, of which there are none
			id, err := readID(r, h.Length)
			if err != nil {
				return err
			}
			if id > goAway {
				return faultID
			}
			goAway = id
		case frame.MaxPushID:
			id, err := readID(r, h.Length)
			if err != nil {
				return err
			}
			if id < maxPush {
				return faultID
			}
			maxPush = id
		case frame.CancelPush:
			if _, err := readID(r, h.Length); err != nil {
				return err
			}
			return faultID // nothing was promised
		default:
			if h.Type.Known() {
				return faultUnexpected
			}
			if h.Length > maxControlFrame {
				return faultControlLoad
			}
			if _, err := r.Discard(int(h.Length)); err != nil {
				return cutOff(err)
			}
		}
	}
}

func readHead(r *bufio.Reader) (h frame.Head, err error) {
	t, err := quicvarint.Read(r)
	if err != nil {
		return h, err
	}
	length, err := quicvarint.Read(r)
	return frame.Head{Type: frame.Type(t), Length: length}, cutOff(err)
}

// cutOff makes a fault of a stream that ends in the middle of a frame.
func cutOff(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return faultFrame
	}
	return err
}

func readSettings(r *bufio.Reader, length uint64) error {
	if length > frame.MaxSettings {
		return faultControlLoad
	}
	payload := make([]byte, length)
	if _, err := io.ReadFull(r, payload); err != nil {
		return cutOff(err)
	}
	switch _, err := frame.ParseSettings(payload); err {
	case frame.ErrFrame:
		return faultFrame
	case frame.ErrSettings:
		return faultSettings
	}
	return nil
}

// readID reads a payload that is one number.
func readID(r *bufio.Reader, length uint64) (uint64, error) {
	if length == 0 || length > 8 {
		return 0, faultFrame
	}
	var payload [8]byte
	if _, err := io.ReadFull(r, payload[:length]); err != nil {
		return 0, cutOff(err)
	}
	id, n, err := quicvarint.Parse(payload[:length])
	if err != nil || uint64(n) != length {
		return 0, faultFrame
	}
	return id, nil
}
