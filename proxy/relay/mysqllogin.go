package relay

import (
	"errors"
	"io"
	"net"
	"os"
	"time"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/listen"
	"github.com/pergola-mesh/pergola/proxy/relay/mysql"
)

// mysqlLogin is a stream of MySQL until its server has answered the client's login. It is the stream's
// goroutine's.
type mysqlLogin struct {
	client   mysql.Conn // its connection is set by speakOn
	login    *mysql.Login
	greeting *mysql.Greeting // the server's
	number   byte            // of the next packet with the server
	secure   bool            // there is TLS with the server
	answered bool
}

// speakOn makes conn the client's. What it has Ahead is read first; writes are not those of a Loop.
func (l *mysqlLogin) speakOn(conn *listen.Conn) {
	l.client.ReadWriter = struct {
		io.Reader
		io.Writer
	}{conn, conn.Net()}
}

// read reads what the client wants.
func (l *mysqlLogin) read(s *stream) error {
	if err := s.within(s.server.Handshake); err != nil {
		return err
	}
	l.speakOn(s.conn)
	payload, err := l.client.Next()
	if err == nil {
		s.Received.Add(int64(mysql.HeaderSize + len(payload)))
		l.login, err = mysql.ParseLogin(payload)
	}
	if err != nil {
		return mysqlKind(&mysql.Fault{Client: true, Err: err})
	}
	return s.within(0)
}

// begin takes a server's greeting, and asks it for TLS. It is exchange.Stream.Begin.
func (l *mysqlLogin) begin(server io.ReadWriter, secure bool) error {
	c := mysql.Conn{ReadWriter: server}
	g, err := mysql.Meet(&c, l.login, secure)
	if err != nil {
		return mysqlKind(&mysql.Fault{Err: err})
	}
	l.greeting, l.number, l.secure = g, c.Sequence, secure
	return nil
}

// handOver has the client log in to the server. Then its connection is one like any other.
func (l *mysqlLogin) handOver(s *stream, server net.Conn) error {
	if err := s.within(s.server.Handshake); err != nil {
		return err
	}
	h := mysql.Handover{
		Client: &l.client, Server: &mysql.Conn{ReadWriter: server, Sequence: l.number},
		ClientSecure: s.conn.TLS() != nil, ServerSecure: l.secure,
		Interrupt: func() {
			s.conn.Interrupt()
			server.SetReadDeadline(past)
		},
		Passed: func(received bool, size int) {
			if received {
				s.Received.Add(int64(size))
			} else {
				s.Sent.Add(int64(size))
			}
		},
	}
	answer, err := h.Run(l.login, l.greeting)
	if err != nil {
		return mysqlKind(err)
	}
	if err := s.within(s.server.Handshake); err != nil {
		return err
	}
	l.answered = true
	if err := l.client.Send(answer); err != nil {
		return exchange.ClientAbort.With(err)
	}
	s.Sent.Add(int64(mysql.HeaderSize + len(answer)))
	return s.within(0)
}

// mysqlKind tells whose fault an error of a login is.
func mysqlKind(err error) error {
	malformed, late := errors.Is(err, mysql.ErrMalformed), errors.Is(err, os.ErrDeadlineExceeded)
	var fault *mysql.Fault
	var told *mysql.Error
	kind := exchange.BadRequest
	switch ofFault := errors.As(err, &fault); {
	case !ofFault, fault.Client && malformed:
	case fault.Client && late:
		kind = exchange.ClientTimeout
	case fault.Client:
		kind = exchange.ClientAbort
	case late:
		kind = exchange.UpstreamTimeout
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		kind = exchange.UpstreamReset
	case errors.As(err, &told): // instead of a greeting: it takes no connections now, or not from here
		kind = exchange.DialFailed
	default:
		kind = exchange.UpstreamProtocol
		var network net.Error
		if errors.As(err, &network) {
			kind = exchange.UpstreamReset
		}
	}
	return kind.With(err)
}

// farewell tells the client why its stream has failed, if it can still be told so.
func (l *mysqlLogin) farewell(s *stream) bool {
	if l.answered || s.choice.hello.sent && s.conn.TLS() == nil || s.reason(nil) != nil {
		return false
	}
	told := tell(s.Error)
	if told == nil {
		return false
	}
	if l.client.ReadWriter == nil { // its login was not read
		l.client.Sequence++
		l.speakOn(s.conn)
	}
	s.conn.Net().SetDeadline(time.Now().Add(listen.LingerTime))
	return l.client.Send(told.Append(nil)) == nil
}

// tell is what a client of MySQL is told of an error: what a server has said, and of anything else no more
// than its kind. It is nil where there is nobody to tell.
func tell(err error) *mysql.Error {
	var told *mysql.Error
	if errors.As(err, &told) {
		if told.State == "" {
			told = &mysql.Error{Code: told.Code, State: "HY000", Message: told.Message}
		}
		return told
	}
	switch kind := exchange.KindOf(err); kind {
	case exchange.ClientAbort, exchange.ClientTimeout:
		return nil
	case exchange.BadRequest:
		var fault *mysql.Fault
		if !errors.As(err, &fault) {
			return nil
		}
		return mysql.NewError(mysql.HandshakeError, "Bad handshake: %v", fault.Err)
	case exchange.Forbidden:
		return mysql.NewError(mysql.HostNotAllowed, "The gateway does not let this address connect")
	case exchange.TooManyRequests:
		return mysql.NewError(mysql.TooManyConnections, "Too many connections of this address to the gateway")
	case exchange.Draining:
		return mysql.NewError(mysql.ShuttingDown, "The gateway is shutting down")
	case exchange.UpstreamTimeout, exchange.UpstreamReset, exchange.UpstreamProtocol:
		return mysql.NewError(mysql.ConnectionLost, "The gateway lost the connection to the server during login (%v)", kind)
	default:
		return mysql.NewError(mysql.CannotConnect, "The gateway cannot connect to a server (%v)", kind)
	}
}
