package relay

import (
	"errors"
	"fmt"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/listen"
	"github.com/pergola-mesh/pergola/proxy/relay/hello"
)

// helloInfo is what a client's ClientHello said, if it sent one.
type helloInfo struct {
	hello.Hello
	sent bool
}

// Accepted returns the router that takes a connection before its client has said anything; nil when none
// does.
func (s *Server) Accepted(info *exchange.Conn) *Choice {
	routes := s.Routes()
	if routes == nil || s.MySQL != nil {
		return nil
	}
	if r := routes.Early(info); r != nil {
		return &Choice{server: s, route: r}
	}
	return nil
}

// A Refusal is why a connection is nobody's, by the name of a rule.
type Refusal struct {
	Rule string
	Err  error
}

// Error is that of the cause.
func (r *Refusal) Error() string { return r.Err.Error() }

// Unwrap is the cause.
func (r *Refusal) Unwrap() error { return r.Err }

// Greeted returns the router that takes a connection whose client has begun to speak; nil leaves it to
// HTTP, which a server of MySQL never does. All that it reads is Ahead afterwards, but for the requests of
// Postgres' clients, which it answers. The error may be a *Refusal. The caller bounds the time.
func (s *Server) Greeted(conn *listen.Conn, info *exchange.Conn) (*Choice, error) {
	if s.MySQL != nil {
		return s.greetMySQL(conn, info)
	}
	routes := s.Routes()
	if routes == nil {
		return nil, nil
	}
	if routes.Secures() {
		asked, err := s.askedByPostgres(routes, conn, info)
		if err != nil {
			return nil, err
		}
		if asked {
			return s.greetPostgres(routes, conn, info)
		}
	}
	h, err := sniffHello(conn)
	if err != nil {
		return nil, err
	}
	var r *Route
	if h.sent {
		r = routes.Secure(info, &h.Hello, false)
	} else {
		r = routes.Plain(info)
	}
	if r == nil {
		return nil, nil
	}
	return &Choice{server: s, route: r, hello: h, postgres: h.sent && directPostgres(r, &h)}, nil
}

// sniffHello reads the ClientHello, if the client begins with one.
func sniffHello(conn *listen.Conn) (h helloInfo, err error) {
	parsed := error(hello.ErrMore)
	err = conn.Sniff(func(first []byte) bool {
		if h.sent = first[0] == hello.Handshake; !h.sent {
			return true
		}
		h.Hello, parsed = hello.Parse(first)
		return !errors.Is(parsed, hello.ErrMore)
	})
	if err != nil || !h.sent {
		return h, err
	}
	if parsed != nil {
		return h, fmt.Errorf("TLS: %w", parsed)
	}
	return h, nil
}
