package frame

import "encoding/binary"

// AppendHead appends the header of a frame whose payload of size bytes the caller appends.
func AppendHead(dst []byte, size int, t Type, flags Flags, stream uint32) []byte {
	return append(dst, byte(size>>16), byte(size>>8), byte(size), byte(t), byte(flags),
		byte(stream>>24), byte(stream>>16), byte(stream>>8), byte(stream))
}

// AppendData appends a Data frame with a copy of p, which must fit into a frame.
func AppendData(dst []byte, stream uint32, p []byte, end bool) []byte {
	return append(AppendHead(dst, len(p), Data, endFlag(end), stream), p...)
}

func endFlag(end bool) Flags {
	if end {
		return EndStream
	}
	return 0
}

// BeginHeaders appends room for the header of a Headers frame. The caller appends the header block
// and ends it by EndHeaders, with the length that dst had before.
func BeginHeaders(dst []byte) []byte { return append(dst, 0, 0, 0, 0, 0, 0, 0, 0, 0) }

// EndHeaders completes the Headers frame that begins at dst[at]. A block that is longer than the
// peer's maxSize is divided into Continuation frames. RFC 9113 §4.3.
func EndHeaders(dst []byte, at int, stream uint32, end bool, maxSize int) []byte {
	size := len(dst) - at - HeaderLen
	if size <= maxSize {
		AppendHead(dst[:at], size, Headers, endFlag(end)|LastHeaders, stream)
		return dst
	}
	AppendHead(dst[:at], maxSize, Headers, endFlag(end), stream)
	rest := append([]byte(nil), dst[at+HeaderLen+maxSize:]...)
	dst = dst[:at+HeaderLen+maxSize]
	for len(rest) > maxSize {
		dst = append(AppendHead(dst, maxSize, Continuation, 0, stream), rest[:maxSize]...)
		rest = rest[maxSize:]
	}
	return append(AppendHead(dst, len(rest), Continuation, LastHeaders, stream), rest...)
}

// AppendRSTStream appends the end of a stream. RFC 9113 §6.4.
func AppendRSTStream(dst []byte, stream uint32, code Code) []byte {
	return binary.BigEndian.AppendUint32(AppendHead(dst, 4, RSTStream, 0, stream), uint32(code))
}

// AppendSettings appends a Settings frame. RFC 9113 §6.5.
func AppendSettings(dst []byte, settings ...Setting) []byte {
	dst = AppendHead(dst, settingLen*len(settings), Settings, 0, 0)
	for _, s := range settings {
		dst = binary.BigEndian.AppendUint16(dst, uint16(s.ID))
		dst = binary.BigEndian.AppendUint32(dst, s.Value)
	}
	return dst
}

// AppendSettingsAck appends the answer to a Settings frame.
func AppendSettingsAck(dst []byte) []byte { return AppendHead(dst, 0, Settings, Ack, 0) }

// AppendPing appends a Ping, or with ack the answer to one. RFC 9113 §6.7.
func AppendPing(dst []byte, ack bool, opaque [8]byte) []byte {
	flags := Flags(0)
	if ack {
		flags = Ack
	}
	return append(AppendHead(dst, 8, Ping, flags, 0), opaque[:]...)
}

// AppendGoAway appends the announcement that the connection ends. last is the highest stream of the peer
// that was or may yet be looked at. RFC 9113 §6.8.
func AppendGoAway(dst []byte, last uint32, code Code, debug string) []byte {
	dst = AppendHead(dst, 8+len(debug), GoAway, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, last)
	return append(binary.BigEndian.AppendUint32(dst, uint32(code)), debug...)
}

// AppendWindowUpdate appends leave for the peer to send increment bytes more, 1 to MaxWindow, on a
// stream, or 0 for the connection. RFC 9113 §6.9.
func AppendWindowUpdate(dst []byte, stream uint32, increment int) []byte {
	return binary.BigEndian.AppendUint32(AppendHead(dst, 4, WindowUpdate, 0, stream), uint32(increment))
}
