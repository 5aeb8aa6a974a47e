// Package postgres is what has to be understood of Postgres' protocol: how TLS begins, and whether a server
// takes logins.
//
// https://www.postgresql.org/docs/current/protocol-message-formats.html
package postgres

import (
	"errors"
	"io"
)

// Request is what a client that wants TLS sends first: SSLRequest. Agreed is the answer of a server that
// does it. One that has a ticket of Kerberos sends RequestGSS before: GSSENCRequest. Who is answered
// Declined goes on without. None may be changed.
var (
	Request    = []byte{0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f}
	RequestGSS = []byte{0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30}
	Agreed     = []byte{'S'}
	Declined   = []byte{'N'}
)

// ALPN is Postgres' name in TLS.
const ALPN = "postgresql"

// Ask asks a server for TLS. What it sends after it has agreed is TLS, of which nothing is read.
func Ask(server io.ReadWriter) error {
	if _, err := server.Write(Request); err != nil {
		return err
	}
	var answer [1]byte // not a byte more: what follows is for the client
	if _, err := io.ReadFull(server, answer[:]); err != nil {
		return err
	}
	if answer[0] != Agreed[0] {
		return errors.New("postgres: the server does not do TLS")
	}
	return nil
}
