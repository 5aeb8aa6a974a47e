package relay

import (
	"bytes"
	"errors"
	"io"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/listen"
	"github.com/pergola-mesh/pergola/proxy/relay/postgres"
)

// askedByPostgres reports whether a connection begins with the request for TLS. One for the encryption of
// Kerberos before it is declined, unless a router without TLS takes the connection, whose server may do it.
func (s *Server) askedByPostgres(routes Routes, conn *listen.Conn, info *exchange.Conn) (bool, error) {
	asked, err := beginsWith(conn, postgres.RequestGSS)
	if err != nil {
		return false, err
	}
	if asked {
		if routes.Plain(info) != nil {
			return false, nil
		}
		if err := answer(conn, postgres.Declined); err != nil {
			return false, err
		}
	}
	return beginsWith(conn, postgres.Request)
}

// answer takes a request, and answers it.
func answer(conn *listen.Conn, with []byte) error {
	var request [8]byte
	if _, err := io.ReadFull(conn, request[:]); err != nil {
		return err
	}
	return conn.Write(with)
}

// beginsWith reports whether what is unread begins with a request, which must be all there is.
func beginsWith(conn *listen.Conn, request []byte) (asked bool, err error) {
	var extra bool
	err = conn.Sniff(func(first []byte) bool {
		n := min(len(first), len(request))
		if !bytes.Equal(first[:n], request[:n]) {
			return true
		}
		asked, extra = n == len(request), len(first) > n
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
	if err := answer(conn, postgres.Agreed); err != nil {
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

// directPostgres reports whether a client of Postgres began with TLS at once, and r terminates it. Its server
// may be too old to take that, and is asked for TLS.
func directPostgres(r *Route, h *helloInfo) bool {
	return r.TLS != nil && len(h.Protocols) == 1 && h.Protocols[0] == postgres.ALPN
}

// beginPostgres has a server agree to TLS, for a client that has it already. A server that is
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
