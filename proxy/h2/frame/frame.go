package frame

import "encoding/binary"

// Preface is what a client begins a connection with. RFC 9113 §3.4.
const Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// HeaderLen is the size of a frame's header in bytes. RFC 9113 §4.1.
const HeaderLen = 9

// Limits of the protocol. RFC 9113 §6.5.2, §6.9.
const (
	MinMaxSize    = 1 << 14   // the payload every peer takes, and what a peer takes that says nothing
	MaxMaxSize    = 1<<24 - 1 // the largest payload a peer may be willing to take
	MaxWindow     = 1<<31 - 1 // the largest flow-control window
	InitialWindow = 1<<16 - 1 // a window nobody has said anything about
	maxStream     = 1<<31 - 1 // the last stream of a connection
)

// Type is the type of a frame.
type Type uint8

// The types. Others are ignored. RFC 9113 §6.
const (
	Data Type = iota
	Headers
	Priority
	RSTStream
	Settings
	PushPromise
	Ping
	GoAway
	WindowUpdate
	Continuation
)

// Known reports whether RFC 9113 defines the type. Frames of others are ignored. RFC 9113 §4.1.
func (t Type) Known() bool { return t <= Continuation }

// Flags are the flags of a frame; what they mean depends on its type.
type Flags uint8

// The flags. RFC 9113 §6.
const (
	EndStream    Flags = 0x1 // of Data and Headers
	Ack          Flags = 0x1 // of Settings and Ping
	LastHeaders  Flags = 0x4 // of Headers and Continuation
	padded       Flags = 0x8
	withPriority Flags = 0x20
)

// Frame is a frame as it was received. Payload is a part of the buffer it was read from.
type Frame struct {
	Type  Type
	Flags Flags
	// Stream is the frame's stream; 0 is the connection.
	Stream uint32
	// Size is the payload's size with padding: what flow control counts. RFC 9113 §6.9.1.
	Size int
	// Payload is without padding and, of Headers, without the priority.
	Payload []byte
}

// Ends reports whether a Data or Headers frame is the last of its direction on its stream.
func (f *Frame) Ends() bool { return f.Flags&EndStream != 0 }

// Last reports whether a Headers or Continuation frame ends its header block.
func (f *Frame) Last() bool { return f.Flags&LastHeaders != 0 }

// IsAck reports whether a Settings or Ping frame answers one of ours.
func (f *Frame) IsAck() bool { return f.Flags&Ack != 0 }

// Code is the error code of an RSTStream or GoAway frame.
func (f *Frame) Code() Code {
	if f.Type == GoAway {
		return Code(binary.BigEndian.Uint32(f.Payload[4:]))
	}
	return Code(binary.BigEndian.Uint32(f.Payload))
}

// LastStream is the last stream that the sender of a GoAway frame has looked at. RFC 9113 §6.8.
func (f *Frame) LastStream() uint32 { return binary.BigEndian.Uint32(f.Payload) & maxStream }

// Increment is that of a WindowUpdate frame, 1 to MaxWindow. RFC 9113 §6.9.
func (f *Frame) Increment() int { return int(binary.BigEndian.Uint32(f.Payload) & MaxWindow) }

// Opaque is what a Ping carries, and its answer must. RFC 9113 §6.7.
func (f *Frame) Opaque() [8]byte { return [8]byte(f.Payload) }
