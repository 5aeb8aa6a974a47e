package frame

import "encoding/binary"

// Reader finds frames in the bytes of one direction of a connection. The zero value takes payloads of
// MinMaxSize, which is what a peer is told that is told nothing.
type Reader struct {
	// MaxSize is the largest payload we said we take; 0 is MinMaxSize.
	MaxSize int
	// block is the stream whose header block is open: only its Continuation may come. RFC 9113 §6.10.
	block uint32
}

// Next returns the frame at the beginning of buf and its whole length n. When n is 0 and err is nil the
// frame has not all arrived: it needs need bytes in all.
//
// An error of the connection comes with n = 0; the connection is then to be closed with its code. An
// error of a stream comes with the frame, which is to be treated as if the stream were closed: a
// header block must still be decoded, and what flow control counts still counted. RFC 9113 §5.4.2.
func (r *Reader) Next(buf []byte) (f Frame, n, need int, err error) {
	if len(buf) < HeaderLen {
		return f, 0, HeaderLen, nil
	}
	head := binary.BigEndian.Uint64(buf)
	size := int(head >> 40)
	f.Type, f.Flags = Type(head>>32), Flags(head>>24)
	f.Stream = binary.BigEndian.Uint32(buf[5:]) & maxStream
	f.Size = size
	if size > max(r.MaxSize, MinMaxSize) {
		return f, 0, 0, refuse(FrameSizeError, "frame_too_large")
	}
	if (r.block != 0) != (f.Type == Continuation) || f.Type == Continuation && f.Stream != r.block {
		return f, 0, 0, refuse(ProtocolError, "continuation")
	}
	n = HeaderLen + size
	if len(buf) < n {
		return f, 0, n, nil
	}
	f.Payload = buf[HeaderLen:n:n]
	if !f.Type.Known() {
		return f, n, 0, nil
	}
	if e := r.check(&f); e != nil {
		if e.Stream == 0 {
			return f, 0, 0, e
		}
		return f, n, 0, e
	}
	return f, n, 0, nil
}

// check checks the frame by its type and strips padding and priority. RFC 9113 §6.
func (r *Reader) check(f *Frame) *Error {
	if onStream := f.Stream != 0; f.Type != WindowUpdate && onStream != ofStream[f.Type] {
		return refuse(ProtocolError, "frame_stream")
	}
	switch f.Type {
	case Data:
		return f.unpad()
	case Headers:
		if f.Flags&LastHeaders == 0 {
			r.block = f.Stream
		}
		if e := f.unpad(); e != nil {
			return e
		}
		return f.dropPriority()
	case Continuation:
		if f.Flags&LastHeaders != 0 {
			r.block = 0
		}
	case Priority:
		if f.Size != 5 {
			return &Error{FrameSizeError, f.Stream, "priority_size"}
		}
		return f.depends()
	case RSTStream:
		return f.sized(4, "rst_stream_size")
	case Settings:
		return f.settings()
	case PushPromise:
		return refuse(ProtocolError, "push_promise") // we never allow it. RFC 9113 §8.4
	case Ping:
		return f.sized(8, "ping_size")
	case GoAway:
		if f.Size < 8 {
			return refuse(FrameSizeError, "goaway_size")
		}
	case WindowUpdate:
		if e := f.sized(4, "window_update_size"); e != nil {
			return e
		}
		if f.Increment() == 0 {
			return &Error{ProtocolError, f.Stream, "window_update_zero"}
		}
	}
	return nil
}

// ofStream tells the types that are about one stream from those about the connection.
var ofStream = [...]bool{Data: true, Headers: true, Priority: true, RSTStream: true, PushPromise: true,
	Continuation: true}

func (f *Frame) sized(n int, rule string) *Error {
	if f.Size != n {
		return refuse(FrameSizeError, rule)
	}
	return nil
}

// unpad removes padding. RFC 9113 §6.1.
func (f *Frame) unpad() *Error {
	if f.Flags&padded == 0 {
		return nil
	}
	p := f.Payload
	if len(p) == 0 {
		return refuse(FrameSizeError, "padding")
	}
	end := len(p) - int(p[0])
	if end < 1 {
		return refuse(ProtocolError, "padding")
	}
	f.Payload = p[1:end:end]
	return nil
}

// dropPriority removes the priority, which nobody heeds any more. RFC 9113 §5.3.2.
func (f *Frame) dropPriority() *Error {
	if f.Flags&withPriority == 0 {
		return nil
	}
	if len(f.Payload) < 5 {
		return refuse(FrameSizeError, "headers_size")
	}
	e := f.depends()
	f.Payload = f.Payload[5:]
	return e
}

// depends refuses a stream that depends on itself. RFC 7540 §5.3.1.
func (f *Frame) depends() *Error {
	if binary.BigEndian.Uint32(f.Payload)&maxStream == f.Stream {
		return &Error{ProtocolError, f.Stream, "priority_self"}
	}
	return nil
}
