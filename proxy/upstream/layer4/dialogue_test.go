package layer4

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/identity/spiffe/spiffetest"
	"github.com/pergola-mesh/pergola/internal/nettest"
	"github.com/pergola-mesh/pergola/internal/waittest"
	"github.com/pergola-mesh/pergola/proxy/relay/mysql"
	"github.com/pergola-mesh/pergola/proxy/relay/postgres"
	"github.com/pergola-mesh/pergola/proxy/upstream"
)

// database is as much of a database as probes see.
type database struct {
	tls      *tls.Config // nil: it does none
	answer   atomic.Value
	accepted atomic.Int32
	direct   atomic.Int32 // of which began TLS at once
	left     atomic.Int32 // of which took their leave
}

// startTLS begins TLS with a client whose first bytes must be what asks for it.
func (d *database) startTLS(c net.Conn, ask []byte, agree []byte) (net.Conn, bool) {
	got := make([]byte, len(ask))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != string(ask) {
		if got[0] == 22 {
			d.direct.Add(1)
		}
		return nil, false
	}
	c.Write(agree)
	return tls.Server(c, d.tls), true
}

// postgres answers the login of user with answer, and waits for a farewell if that lets the client in.
func (d *database) postgres(c net.Conn) {
	d.accepted.Add(1)
	if d.tls != nil {
		var ok bool
		if c, ok = d.startTLS(c, postgres.Request, postgres.Agreed); !ok {
			return
		}
	}
	var size [4]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return
	}
	n := binary.BigEndian.Uint32(size[:])
	if n < 8 || n > 1000 {
		return
	}
	startup := make([]byte, n-4)
	if _, err := io.ReadFull(c, startup); err != nil || string(startup) != "\x00\x03\x00\x00user\x00pergola\x00database\x00postgres\x00\x00" {
		return
	}
	answer := d.answer.Load().(string)
	io.WriteString(c, answer)
	if strings.HasPrefix(answer, postgresSays("R", "\x00\x00\x00\x00")) {
		d.farewell(c, "X\x00\x00\x00\x04")
	} else {
		d.farewell(c, "")
	}
}

// farewell counts clients that take their leave by what they are to say, or else by saying no more.
func (d *database) farewell(c net.Conn, want string) {
	got := make([]byte, max(1, len(want)))
	if n, _ := io.ReadFull(c, got); string(got[:n]) == want {
		d.left.Add(1)
	}
}

// postgresSays is a message with the kind that it begins with.
func postgresSays(kind, body string) string {
	return kind + string(binary.BigEndian.AppendUint32(nil, uint32(4+len(body)))) + body
}

func postgresError(code, message string) string {
	return postgresSays("E", "SFATAL\x00VFATAL\x00C"+code+"\x00M"+message+"\x00\x00")
}

// mysql greets, asks the client to switch to another plugin, and then gives its answer to the login.
func (d *database) mysql(raw net.Conn) {
	d.accepted.Add(1)
	answer := []byte(d.answer.Load().(string))
	greeting := mysql.NewGreeting("8.4.0", d.tls != nil)
	if answer[0] == 'G' { // instead of a greeting
		raw.Write(mysql.Append(nil, 0, answer[1:]))
		return
	}
	raw.Write(greeting)
	over := raw
	c := &mysql.Conn{ReadWriter: raw, Sequence: 1}
	p, err := c.Next()
	if err != nil {
		if first, ok := strings.CutPrefix(err.Error(), "malformed packet"); ok && first != "" {
			d.direct.Add(1)
		}
		return
	}
	if d.tls != nil {
		if _, request, err := mysql.Wishes(p); err != nil || !request {
			c.Send(mysql.NewError(mysql.TLSRequired, "TLS is wanted").Append(nil))
			return
		}
		request := p
		over = tls.Server(raw, d.tls)
		c.ReadWriter = over
		if p, err = c.Next(); err != nil || !bytes.HasPrefix(p, request) { // servers go by what the request said
			return
		}
	}
	login, err := mysql.ParseLogin(p)
	if err != nil || string(login.User) != "pergola" || len(login.Proof) > 0 {
		return
	}
	c.Send([]byte("\xfecaching_sha2_password\x00aaaaaaaaaaaaaaaaaaaa\x00"))
	if proof, err := c.Next(); err != nil || len(proof) > 0 {
		return
	}
	for c.Send(answer) == nil && answer[0] == 0xfe {
		if _, err := c.Next(); err != nil {
			return
		}
	}
	if answer[0] == 0 {
		d.farewell(over, "\x01\x00\x00\x00\x01")
	} else {
		d.farewell(over, "")
	}
}

func mysqlError(code uint16, state, message string) string {
	return string((&mysql.Error{Code: code, State: state, Message: message}).Append(nil))
}

// Databases are asked in their own protocol: over TLS as their clients are, whether that is said or has to be
// found out, and for a login that they need not let in.
func TestHealthOfDatabases(t *testing.T) {
	domain := spiffetest.NewDomain(t, "example.org")
	secure := spiffetest.Server(domain.Issue(t, "/db"), domain)
	secure.ClientAuth = tls.NoClientCert
	for _, test := range []struct {
		speaks, says string
		up           bool
	}{
		{"postgres", postgresSays("R", "\x00\x00\x00\x0a"+"SCRAM-SHA-256\x00\x00"), true},
		{"postgres", postgresSays("R", "\x00\x00\x00\x00") + postgresSays("Z", "I"), true},
		{"postgres", postgresError("28000", `role "pergola" does not exist`), true},
		{"postgres", postgresError("3D000", `database "postgres" does not exist`), true},
		{"postgres", postgresError("57P03", "the database system is starting up"), false},
		{"postgres", postgresError("53300", "sorry, too many clients already"), false},
		{"postgres", postgresSays("E", "\x00"), false},
		{"postgres", postgresSays("R", ""), false},
		{"postgres", "R\xff\xff\xff\xff", false},
		{"mysql", "\x00\x00\x00\x02\x00\x00\x00", true},
		{"mysql", mysqlError(1045, "28000", "Access denied for user 'pergola'@'127.0.0.1'"), true},
		{"mysql", mysqlError(1053, "08S01", "Server shutdown in progress"), false},
		{"mysql", "G" + mysqlError(1040, "", "Too many connections"), false},
		{"mysql", "\xfeanother\x00scramble\x00", false},
	} {
		for _, how := range []struct {
			name     string
			protocol string
			tls      *tls.Config
		}{{"in plaintext", test.speaks, nil}, {"in TLS", test.speaks, secure}, {"in TLS, found out", "", secure}} {
			t.Run(fmt.Sprintf("%s %s says %q", test.speaks, how.name, test.says), func(t *testing.T) {
				t.Parallel()
				d := &database{tls: how.tls}
				d.answer.Store(test.says)
				talk := d.postgres
				if test.speaks == "mysql" {
					talk = d.mysql
				}
				address := nettest.Serve(t, talk)
				s := balancer(t, NewRegistry(Options{}), LoadBalancer{
					Servers: []Server{{address, how.tls != nil}}, Transport: &Transport{TLS: upstream.TLS{InsecureSkipVerify: true}},
					HealthCheck: &HealthCheck{Protocol: how.protocol, Interval: 10 * time.Millisecond, Timeout: 20 * time.Second}})
				waittest.Until(t, "connections are made", func() bool { return d.accepted.Load() >= 6 })
				if status := s.Status()[address]; status == "UP" != test.up {
					t.Errorf("it is %s", status)
				}
				direct := d.direct.Load()
				switch {
				case how.protocol != "" && direct > 0:
					t.Error("TLS was tried at once")
				case how.protocol == "" && test.up && direct != 1:
					t.Errorf("TLS was tried at once %d times, and should have been once", direct)
				}
				if test.up {
					waittest.Until(t, "leave is taken", func() bool { return d.left.Load() >= 3 })
				}
			})
		}
	}
}

// What was found out of a server is forgotten when it is down: another may have come.
func TestHealthOfAnotherDatabase(t *testing.T) {
	domain := spiffetest.NewDomain(t, "example.org")
	d := &database{tls: spiffetest.Server(domain.Issue(t, "/db"), domain)}
	d.tls.ClientAuth = tls.NoClientCert
	d.answer.Store(postgresError("28000", "no"))
	var other atomic.Bool
	address := nettest.Serve(t, func(c net.Conn) {
		if !other.Load() {
			d.postgres(c)
			return
		}
		s := tls.Server(c, d.tls)
		if s.Handshake() == nil {
			d.accepted.Add(1)
		}
		s.Close()
	})
	s := balancer(t, NewRegistry(Options{}), LoadBalancer{
		Servers: []Server{{address, true}}, Transport: &Transport{TLS: upstream.TLS{InsecureSkipVerify: true}},
		HealthCheck: &HealthCheck{Interval: 10 * time.Millisecond, Timeout: 20 * time.Second}})
	waittest.Until(t, "leave is taken", func() bool { return d.left.Load() >= 2 })
	other.Store(true)
	before := d.accepted.Load()
	waittest.Until(t, "the other one is up", func() bool { return d.accepted.Load() >= before+3 && s.Status()[address] == "UP" })
}

// What another service of the same name has found out since is not missed.
func TestVerdictOfAnotherService(t *testing.T) {
	r := NewRegistry(Options{})
	address := server(t, "a", false)
	s := balancer(t, r, LoadBalancer{Servers: []Server{{Address: address}}, HealthCheck: &HealthCheck{Interval: time.Hour}}).(*loadBalancer)
	m := s.members[0]
	m.down.Store(true) // as the other one does
	s.judge(m, io.EOF)
	if s.Status()[address] != "DOWN" || s.Healthy() {
		t.Errorf("the server is %v", s.Status())
	}
}
