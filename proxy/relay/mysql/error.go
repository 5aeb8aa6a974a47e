package mysql

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// How the packets begin that a server answers a login with.
const (
	okPacket     = 0x00
	morePacket   = 0x01
	switchPacket = 0xfe
	errorPacket  = 0xff
)

// Codes and states of errors. https://dev.mysql.com/doc/mysql-errors/8.0/en/server-error-reference.html
const (
	TooManyConnections = 1040
	HandshakeError     = 1043
	ShuttingDown       = 1053
	HostNotAllowed     = 1130
	AuthNotSupported   = 1251
	TLSRequired        = 3159
	CannotConnect      = 2003
	ConnectionLost     = 2013
)

// states are the states of codes that have one of their own.
var states = map[uint16]string{
	TooManyConnections: "08004", HandshakeError: "08S01", ShuttingDown: "08S01", AuthNotSupported: "08004",
}

// Error is an error as a server tells it: an ERR_Packet.
type Error struct {
	Code    uint16
	State   string // five characters; empty when a server gives none
	Message string
}

// NewError makes an error with the state of its code.
func NewError(code uint16, format string, args ...any) *Error {
	state := states[code]
	if state == "" {
		state = "HY000"
	}
	return &Error{code, state, fmt.Sprintf(format, args...)}
}

// Error writes it as the usual clients do.
func (e *Error) Error() string { return fmt.Sprintf("ERROR %d (%s): %s", e.Code, e.State, e.Message) }

// Append appends the error's payload.
func (e *Error) Append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint16(append(b, errorPacket), e.Code)
	if e.State != "" {
		b = append(append(b, '#'), e.State...)
	}
	return append(b, e.Message...)
}

// ParseError reads an error: as *Error, unless it is malformed.
func ParseError(payload []byte) error {
	r := reader{b: payload}
	if r.number(1) != errorPacket || r.bad {
		return malformed("no error")
	}
	e := &Error{Code: uint16(r.number(2))}
	if r.bad {
		return malformed("an error that ends too early")
	}
	e.Message = string(r.b)
	if state, ok := strings.CutPrefix(e.Message, "#"); ok && len(state) >= 5 {
		e.State, e.Message = state[:5], state[5:]
	}
	return e
}
