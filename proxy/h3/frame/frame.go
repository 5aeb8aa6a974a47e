package frame

import (
	"github.com/quic-go/quic-go/quicvarint"
)

// Type is what a frame is. RFC 9114 §11.2.1.
type Type uint64

// The types of frames.
const (
	Data        Type = 0x0
	Headers     Type = 0x1
	CancelPush  Type = 0x3
	Settings    Type = 0x4
	PushPromise Type = 0x5
	GoAway      Type = 0x7
	MaxPushID   Type = 0xd
)

// Retired reports a type that HTTP/2 had and HTTP/3 must not have. RFC 9114 §7.2.8.
func (t Type) Retired() bool { return t == 0x2 || t == 0x6 || t == 0x8 || t == 0x9 }

// Known reports a type with a meaning: all others are skipped wherever they come. RFC 9114 §9.
func (t Type) Known() bool {
	switch t {
	case Data, Headers, CancelPush, Settings, PushPromise, GoAway, MaxPushID:
		return true
	}
	return t.Retired()
}

// Head is the beginning of a frame.
type Head struct {
	Type   Type
	Length uint64 // of the payload, in bytes
}

// MaxHead is the longest beginning of a frame, in bytes.
const MaxHead = 16

// ParseHead parses the head at the beginning of buf and returns its size; 0 when it has not all arrived.
// RFC 9114 §7.1.
func ParseHead(buf []byte) (h Head, size int) {
	t, n, err := quicvarint.Parse(buf)
	if err != nil {
		return h, 0
	}
	length, m, err := quicvarint.Parse(buf[n:])
	if err != nil {
		return h, 0
	}
	return Head{Type(t), length}, n + m
}

// AppendHead appends the beginning of a frame.
func AppendHead(dst []byte, t Type, length int) []byte {
	return quicvarint.Append(quicvarint.Append(dst, uint64(t)), uint64(length))
}

// AppendGoAway appends a GOAWAY frame. RFC 9114 §7.2.6.
func AppendGoAway(dst []byte, id uint64) []byte {
	dst = AppendHead(dst, GoAway, quicvarint.Len(id))
	return quicvarint.Append(dst, id)
}
