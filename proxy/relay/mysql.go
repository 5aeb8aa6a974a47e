package relay

import (
	"errors"
	"io"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/listen"
	"github.com/pergola-mesh/pergola/proxy/relay/hello"
	"github.com/pergola-mesh/pergola/proxy/relay/mysql"
)

// MySQL is how clients of MySQL are greeted. In MySQL the server speaks first, and TLS begins only after
// that: so that a server can be chosen by the name that the client asks for in TLS, the greeting is ours.
type MySQL struct {
	// ServerVersion is the version of MySQL that clients are told.
	ServerVersion string
}

// Greeting is what a client is told before it has said anything; nil for nothing.
func (s *Server) Greeting() []byte {
	if s.MySQL == nil {
		return nil
	}
	routes := s.Routes()
	return mysql.NewGreeting(s.MySQL.ServerVersion, routes != nil && routes.Secures())
}

// loginNumber is the number of the packet in which a client of MySQL logs in that has not asked for TLS.
const loginNumber = 1

// greetMySQL finds the router of a client of MySQL that has been greeted.
func (s *Server) greetMySQL(conn *listen.Conn, info *exchange.Conn) (*Choice, error) {
	request, err := askedByMySQL(conn)
	if err != nil {
		if errors.Is(err, mysql.ErrMalformed) {
			err = refuseMySQL(conn, "mysql_packet", mysql.HandshakeError, "Bad handshake: %v", err)
		}
		return nil, err
	}
	routes := s.Routes()
	if request {
		return s.greetSecureMySQL(routes, conn, info)
	}
	if routes != nil {
		if r := routes.Plain(info); r != nil {
			return &Choice{server: s, route: r, mysql: loginNumber}, nil
		}
		if routes.Secures() {
			return nil, refuseMySQL(conn, "mysql_plaintext", mysql.TLSRequired, "Connections to this gateway must use TLS (--ssl-mode=REQUIRED, --ssl)")
		}
	}
	return nil, refuseMySQL(conn, "mysql_router", mysql.CannotConnect, "The gateway has no router for this connection")
}

// askedByMySQL reports whether a client asks for TLS; else it logs in. What it says is Ahead.
func askedByMySQL(conn *listen.Conn) (request bool, err error) {
	malformed := error(nil)
	err = conn.Sniff(func(first []byte) bool {
		if len(first) < mysql.HeaderSize {
			return false
		}
		size, number := mysql.Header(first)
		if malformed = mysql.CheckFirst(size, number); malformed != nil {
			return true
		}
		// A byte more than a request for TLS has tells a login from one.
		have, need := len(first)-mysql.HeaderSize, min(size, mysql.RequestSize+1)
		if have < need {
			return false
		}
		_, request, malformed = mysql.Wishes(first[mysql.HeaderSize:][:need])
		return true
	})
	if err == nil {
		err = malformed
	}
	return request, err
}

// greetSecureMySQL finds the router by the ClientHello that follows the request for TLS.
func (s *Server) greetSecureMySQL(routes Routes, conn *listen.Conn, info *exchange.Conn) (*Choice, error) {
	if routes == nil || !routes.Secures() {
		return nil, refuseMySQL(conn, "mysql_router", mysql.HandshakeError, "No router of the gateway is for TLS here, and none was offered")
	}
	var request [mysql.HeaderSize + mysql.RequestSize]byte
	if _, err := io.ReadFull(conn, request[:]); err != nil {
		return nil, err
	}
	h, err := sniffHello(conn)
	switch {
	case err != nil:
		return nil, err
	case !h.sent:
		return nil, &Refusal{"mysql_packet", errors.New("mysql: no ClientHello follows the request for TLS")}
	}
	r := routes.Secure(info, &h.Hello, true)
	if r == nil {
		conn.Write(hello.UnrecognizedName)
		conn.Linger()
		return nil, &Refusal{"mysql_router", errors.New("mysql: no router is for the server name " + h.ServerName)}
	}
	return &Choice{server: s, route: r, hello: h, mysql: loginNumber + 1}, nil
}

// refuseMySQL tells a client that has been greeted, and has begun to speak in plaintext, why it is refused.
func refuseMySQL(conn *listen.Conn, rule string, code uint16, format string, args ...any) error {
	told := mysql.NewError(code, format, args...)
	if err := conn.Write(mysql.Append(nil, loginNumber+1, told.Append(nil))); err == nil {
		conn.Linger()
	}
	return &Refusal{rule, told}
}
