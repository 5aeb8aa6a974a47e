// Package mysql is what has to be understood of MySQL's protocol to begin TLS in the middle of it, and to
// have a client that was greeted by one log in to another: the packets up to the end of authentication.
// What comes after is nobody's business here.
//
// The packets are those of the servers of MySQL and MariaDB:
// https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html
//
// What another parser may read differently is not passed on: every packet that says who a client is, and
// what it can do, is taken apart and written anew.
package mysql

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// MaxPacket is the longest payload of a packet of the connection phase, in bytes. Tickets of Kerberos are
// the longest that are in use.
const MaxPacket = 64 << 10

// HeaderSize is the length of a packet's header: three bytes of length and one of sequence.
const HeaderSize = 4

// ErrMalformed is what errors wrap that are about a packet that is not what it must be.
var ErrMalformed = errors.New("malformed packet")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

// Header returns the length of the payload and the sequence number that b, which has at least HeaderSize
// bytes, begins with.
func Header(b []byte) (size int, sequence byte) {
	return int(b[0]) | int(b[1])<<8 | int(b[2])<<16, b[3]
}

// Packet is a packet that was read.
type Packet struct {
	Payload  []byte
	Sequence byte
}

// Read reads a packet and not a byte more. It takes memory as the packet arrives, not as it is announced.
// The end of r before the first byte is io.EOF.
func Read(r io.Reader) (Packet, error) {
	var head [HeaderSize]byte
	if n, err := io.ReadFull(r, head[:]); err != nil {
		if n > 0 {
			err = midway(err)
		}
		return Packet{}, err
	}
	size, sequence := Header(head[:])
	if size > MaxPacket {
		return Packet{Sequence: sequence}, malformed("%d bytes, and %d at most", size, MaxPacket)
	}
	var payload bytes.Buffer
	if _, err := io.CopyN(&payload, r, int64(size)); err != nil {
		return Packet{}, midway(err)
	}
	return Packet{payload.Bytes(), sequence}, nil
}

// errMidway is what errors wrap that end a read in the middle of a packet.
var errMidway = errors.New("in the middle of a packet")

func midway(err error) error {
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("%w %w", err, errMidway)
}

// Append appends the packet with a payload, which is no longer than MaxPacket.
func Append(b []byte, sequence byte, payload []byte) []byte {
	n := len(payload)
	return append(append(b, byte(n), byte(n>>8), byte(n>>16), sequence), payload...)
}

// Conn is one side of a login. All packets of both directions are numbered together.
type Conn struct {
	// ReadWriter is the connection.
	io.ReadWriter
	// Sequence is the number of the next packet.
	Sequence byte
}

// Next reads a packet, whose turn it must be, and returns its payload.
func (c *Conn) Next() ([]byte, error) { return c.take(Read(c.ReadWriter)) }

// take returns the payload of a packet that was read, whose turn it must be. After a packet that is malformed
// it is the turn of the one behind that, which tells so.
func (c *Conn) take(p Packet, err error) ([]byte, error) {
	if err != nil && !errors.Is(err, ErrMalformed) {
		return nil, err
	}
	turn := c.Sequence
	c.Sequence = p.Sequence + 1
	if err == nil && p.Sequence != turn {
		err = malformed("number %d out of turn, which is %d's", p.Sequence, turn)
	}
	return p.Payload, err
}

// Send writes the packet with a payload.
func (c *Conn) Send(payload []byte) error {
	if len(payload) > MaxPacket {
		return malformed("%d bytes, and %d at most", len(payload), MaxPacket)
	}
	_, err := c.Write(Append(make([]byte, 0, HeaderSize+len(payload)), c.Sequence, payload))
	c.Sequence++
	return err
}
