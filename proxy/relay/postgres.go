package relay

import (
	"bytes"
	"errors"
	"io"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/listen"
	"github.com/pergola-mesh/pergola/proxy/relay/postgres"
)

// askedByPostgres reports whether a connection begins with the request for TLS.
func askedByPostgres(conn *listen.Conn) (asked bool, err error) {
	var extra bool
	err = conn.Sniff(func(first []byte) bool {
		n := min(len(first), len(postgres.Request))
		if !bytes.Equal(first[:n], postgres.Request[:n]) {
			return true
		}
		asked, extra = n == len(postgres.Request), len(first) > n
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
	if err := conn.Write(postgres.Agreed); err != nil {
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
	if err := postgres.Ask(server); err != nil {
		return exchange.UpstreamProtocol.With(err)
	}
	return nil
}
