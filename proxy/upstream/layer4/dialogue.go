package layer4

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"syscall"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/relay/mysql"
	"github.com/pergola-mesh/pergola/proxy/relay/postgres"
)

// dialogue is a probe's talk with a server of a protocol in which TLS begins later than with the first byte.
type dialogue interface {
	// begin is exchange.Stream.Begin: what comes before TLS, or before anything else.
	begin(server io.ReadWriter, secure bool) error
	// login tells why the server takes no logins.
	login(server io.ReadWriter) error
}

// The protocols that probes know.
const (
	speaksPostgres = "postgres"
	speaksMySQL    = "mysql"
)

// dialogues begin a talk as a user, by protocol. The empty protocol has none.
var dialogues = map[string]func(user string) dialogue{
	speaksPostgres: func(user string) dialogue { return postgresDialogue{user} },
	speaksMySQL:    func(user string) dialogue { return &mysqlDialogue{visitor: mysql.Visitor(user)} },
}

func checkProtocol(name string) error {
	if name == "" || dialogues[name] != nil {
		return nil
	}
	return fmt.Errorf("protocol %q is not %s", name, strings.Join(slices.Sorted(maps.Keys(dialogues)), " or "))
}

type postgresDialogue struct{ user string }

func (postgresDialogue) begin(server io.ReadWriter, secure bool) error {
	if !secure {
		return nil
	}
	return postgres.Ask(server)
}

func (d postgresDialogue) login(server io.ReadWriter) error { return postgres.Ready(server, d.user) }

// mysqlDialogue keeps how the server has greeted.
type mysqlDialogue struct {
	visitor  *mysql.Login
	greeting *mysql.Greeting
	number   byte // of the next packet
	secure   bool
}

func (d *mysqlDialogue) begin(server io.ReadWriter, secure bool) (err error) {
	c := mysql.Conn{ReadWriter: server}
	d.greeting, err = mysql.Meet(&c, d.visitor, secure)
	d.number, d.secure = c.Sequence, secure
	return err
}

func (d *mysqlDialogue) login(server io.ReadWriter) error {
	return mysql.Ready(&mysql.Conn{ReadWriter: server, Sequence: d.number}, d.visitor, d.greeting, d.secure)
}

// guess tells by how a handshake of TLS failed what the server may speak instead; empty for nothing. One of
// MySQL greets first: its fourth byte is the number of the first packet, its fifth the version of the
// protocol. One of Postgres closes the connection of whoever does not ask for TLS before.
func guess(err error) string {
	var record tls.RecordHeaderError
	switch {
	case !errors.Is(err, exchange.UpstreamTLS):
		return ""
	case errors.As(err, &record) && record.RecordHeader[3] == 0 && record.RecordHeader[4] == 10:
		return speaksMySQL
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return speaksPostgres
	}
	return ""
}
