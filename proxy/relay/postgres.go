package relay

import (
	"bytes"
	"errors"
	"io"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/listen"
)

// What a Postgres client that wants TLS sends first, and the answer of a server that agrees.
// https://www.postgresql.org/docs/current/protocol-message-formats.html (SSLRequest)
var (
	postgresRequest = []byte{0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f}
	postgresAgreed  = []byte{'S'}
)

// askedByPostgres reports whether a connection begins with the request for TLS.
func askedByPostgres(conn *listen.Conn) (asked bool, err error) {
	var extra bool
	err = conn.Sniff(func(first []byte) bool {
		n := min(len(first), len(postgresRequest))
		if !bytes.Equal(first[:n], postgresRequest[:n]) {
			return true
		}
		asked, extra = n == len(postgresRequest), len(first) > n
		return asked
	})
	switch {
	case extra:
		// It would be taken for something that was said under the protection of TLS.
		return false, errors.New("postgres: a client went on before its request for TLS was answered")
	case err == io.ErrUnexpectedEOF && !asked:
		return false, nil // it was too short for the request; others may make sense of it
	}
	return asked, err
}

// greetPostgres agrees to TLS and finds the router by the ClientHello that follows.
func (s *Server) greetPostgres(routes Routes, conn *listen.Conn, info *exchange.Conn) (*Choice, error) {
	var request [8]byte
	if _, err := io.ReadFull(conn, request[:]); err != nil {
		return nil, err
	}
	if err := conn.Write(postgresAgreed); err != nil {
		return nil, err
	}
	h, err := sniffHello(conn)
	switch {
	case err != nil:
		return nil, err
	case !h.sent:
		return nil, errors.New("postgres: no ClientHello follows the request for TLS")
	}
	r := routes.Secure(info, &h.Hello, true)
	if r == nil {
		return nil, errors.New("postgres: no router is for the server name " + h.ServerName)
	}
	return &Choice{server: s, route: r, hello: h, postgres: true}, nil
}

// beginPostgres has a server agree to TLS, for a client that has been told so already. A server that is
// spoken to in plaintext, by a gateway that terminates the client's TLS, is not asked.
func (c *Choice) beginPostgres(server io.ReadWriter, secure bool) error {
	if c.route.TLS != nil && !secure {
		return nil
	}
	if err := askPostgres(server); err != nil {
		return exchange.UpstreamProtocol.With(err)
	}
	return nil
}

// askPostgres asks a server for TLS.
func askPostgres(c io.ReadWriter) error {
	if _, err := c.Write(postgresRequest); err != nil {
		return err
	}
	var answer [1]byte // not a byte more: what follows is for the client
	if _, err := io.ReadFull(c, answer[:]); err != nil {
		return err
	}
	if answer[0] != postgresAgreed[0] {
		return errors.New("postgres: the server does not do TLS")
	}
	return nil
}
