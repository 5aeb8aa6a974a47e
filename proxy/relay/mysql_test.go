package relay_test

import (
	"crypto/tls"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	driver "github.com/go-sql-driver/mysql"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/relay"
	"github.com/pergola-mesh/pergola/proxy/relay/mysql"
)

func speaksMySQL(s *relay.Server) { s.MySQL = &relay.MySQL{ServerVersion: "8.0.40"} }

// ping logs Go's driver in; without a name in plaintext.
func ping(t *testing.T, e *edge, name, password string) error {
	t.Helper()
	c := driver.NewConfig()
	c.Net, c.Addr, c.User, c.Passwd, c.DBName = "tcp", e.ln.Addr().String(), "jane", password, "db"
	c.Collation = "utf8_unicode_ci"
	c.Timeout, c.ReadTimeout, c.Logger = 10*time.Second, 10*time.Second, &driver.NopLogger{}
	if name != "" {
		c.TLS = &tls.Config{ServerName: name, InsecureSkipVerify: true}
	}
	connector, err := driver.NewConnector(c)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	for range 2 {
		if err := db.Ping(); err != nil {
			return err
		}
	}
	return nil
}

// left waits for a stream whose ends leave without waiting for each other, as drivers do.
func (e *edge) left(t *testing.T) {
	t.Helper()
	if how := e.log.wait(t); how != "well" && how != "client_abort" && how != "upstream_reset" {
		t.Errorf("%s: %v", how, e.log.last.Error)
	}
}

// Every plugin works with TLS on both sides, on one, and on none, as far as its passwords stay protected.
func TestMySQLLogins(t *testing.T) {
	for _, plugin := range []mysqlServer{
		{plugin: "mysql_native_password"}, {plugin: "caching_sha2_password", knows: true}, {plugin: "caching_sha2_password"},
		{plugin: "sha256_password"}, {plugin: ""},
	} {
		for _, secure := range []struct{ client, server bool }{{true, false}, {true, true}, {false, false}, {false, true}} {
			m := plugin
			m.tls = secure.server && m.plugin != ""
			t.Run(fmt.Sprintf("%s remembered %v client %v server %v", m.plugin, m.knows, secure.client, m.tls), func(t *testing.T) {
				name, service := "", m.start(t)
				all := &routes{plain: &relay.Route{Service: service}}
				if secure.client {
					name, all = "a.example", &routes{secure: map[string]*relay.Route{"a.example": {Service: service, TLS: terminating()}}}
				}
				e := newEdge(t, all, speaksMySQL)
				err := ping(t, e, name, "secret")
				var told *driver.MySQLError
				if !secure.client && m.tls && !m.knows && m.plugin != "mysql_native_password" {
					if how := e.log.wait(t); err == nil || how != "bad_request" || !strings.Contains(e.log.last.Error.Error(), "connect with TLS") {
						t.Errorf("a password that would be protected on one side only: %v, %s, %v", err, how, e.log.last.Error)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				login := <-m.logins
				if string(login.User) != "jane" || string(login.Database) != "db" || login.Charset != 192 || login.Capabilities&^(mysql.Offered|mysql.SSL) != 0 {
					t.Errorf("the login is %+v", login)
				}
				e.left(t)
				if s := e.log.last; s.Received.Load() < 50 || s.Sent.Load() < 30 || s.Passthrough {
					t.Errorf("counted %d and %d", s.Received.Load(), s.Sent.Load())
				}
				if err := ping(t, e, name, "wrong"); !errors.As(err, &told) || told.Number != 1045 || told.Message != "Access denied for user 'jane'" {
					t.Errorf("a wrong password: %v", err)
				}
				e.left(t)
			})
		}
	}
}

// mysqlClient logs in by hand, in plaintext.
func mysqlClient(t *testing.T, e *edge) *mysql.Conn {
	t.Helper()
	c := &mysql.Conn{ReadWriter: e.dial(t)}
	if _, err := c.Next(); err != nil {
		t.Fatal(err)
	}
	return c
}

var mysqlLogin = (&mysql.Login{Capabilities: mysql.Offered, User: []byte("jane"), Proof: []byte("x"), Plugin: []byte("talks")}).Append(nil)

// A plugin may have its packets in any order.
func TestMySQLPluginThatTalks(t *testing.T) {
	m := &mysqlServer{plugin: "talks"}
	e := newEdge(t, &routes{plain: &relay.Route{Service: m.start(t)}}, speaksMySQL)
	c := mysqlClient(t, e)
	c.Send(mysqlLogin)
	if p, err := c.Next(); err != nil || !strings.HasPrefix(string(p), "\xfetalks\x00"+mysqlScramble) {
		t.Fatalf("%q, %v", p, err)
	}
	c.Send([]byte("proof"))
	for _, want := range []string{"something", "\x01more", "\x00\x00\x00\x02\x00\x00\x00"} {
		if p, err := c.Next(); err != nil || string(p) != want {
			t.Fatalf("%q, %v", p, err)
		}
	}
	c.Sequence = 0
	c.Send([]byte{0x0e})
	if p, err := c.Next(); err != nil || p[0] != 0 {
		t.Errorf("a ping is answered %q, %v", p, err)
	}
}

// A client that goes on before the server has answered is refused: what it says was not meant for after.
func TestMySQLOutOfTurn(t *testing.T) {
	m := &mysqlServer{plugin: "talks"}
	e := newEdge(t, &routes{plain: &relay.Route{Service: m.start(t)}}, speaksMySQL)
	for _, what := range []string{"\x01\x00\x00\x00\x0e", "\x01\x00"} {
		c := mysqlClient(t, e)
		c.Write(append(mysql.Append(mysql.Append(nil, 1, mysqlLogin), 3, []byte("proof")), what...))
		answers, _ := io.ReadAll(c)
		if text := string(answers); !strings.Contains(text, "#08S01Bad handshake: malformed packet") || strings.Contains(text, "\x00\x00\x00\x02\x00\x00\x00") {
			t.Errorf("%q is answered %q", what, text)
		}
		if how := e.log.wait(t); how != "bad_request" {
			t.Error(how)
		}
	}
}

// Those that cannot be served are told so in MySQL's way.
func TestMySQLRefusals(t *testing.T) {
	m := &mysqlServer{plugin: "mysql_native_password"}
	service := m.start(t)
	route := &relay.Route{Service: service}
	secure := map[string]*relay.Route{"a.example": {Service: service, TLS: terminating()}}
	request := mysql.Append(nil, 1, append([]byte{0x00, 0x0a, 0, 0}, make([]byte, 28)...))
	for name, tt := range map[string]struct {
		routes *routes
		send   string
		code   uint16
		says   string
		rule   string // or else the stream's kind
		kind   string
	}{
		"HTTP":         {&routes{plain: route}, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 1043, "out of turn", "mysql_packet", ""},
		"too long":     {&routes{plain: route}, "\xff\xff\xff\x01" + strings.Repeat("x", 100), 1043, "at most", "mysql_packet", ""},
		"too short":    {&routes{plain: route}, "\x05\x00\x00\x01hello", 1043, "5 bytes", "mysql_packet", ""},
		"before 4.1":   {&routes{plain: route}, string(mysql.Append(nil, 1, make([]byte, 40))), 1043, "4.1", "mysql_packet", ""},
		"no router":    {&routes{}, string(mysql.Append(nil, 1, mysqlLogin)), 2003, "no router", "mysql_router", ""},
		"no TLS":       {&routes{secure: secure}, string(mysql.Append(nil, 1, mysqlLogin)), 3159, "must use TLS", "mysql_plaintext", ""},
		"TLS nowhere":  {&routes{plain: route}, string(request), 1043, "No router", "mysql_router", ""},
		"half a login": {&routes{plain: route}, string(mysql.Append(nil, 1, mysqlLogin[:38])), 1043, "too early", "", "bad_request"},
		"no plugins": {&routes{plain: route}, string(mysql.Append(nil, 1, (&mysql.Login{Capabilities: mysql.Offered &^ mysql.PluginAuth, User: []byte("jane")}).Append(nil))),
			1251, "CLIENT_PLUGIN_AUTH", "", "bad_request"},
		"a gate":           {&routes{plain: &relay.Route{Service: service, Gates: []exchange.Gate{shut{}}}}, string(mysql.Append(nil, 1, mysqlLogin)), 1130, "address", "", "forbidden"},
		"a broken router":  {&routes{plain: &relay.Route{Err: exchange.Internal.Withf("secret")}}, string(mysql.Append(nil, 1, mysqlLogin)), 2003, "(internal)", "", "internal"},
		"no server":        {&routes{plain: &relay.Route{Service: &backend{err: exchange.NoEndpoint}}}, string(mysql.Append(nil, 1, mysqlLogin)), 2003, "(no_endpoint)", "", "no_endpoint"},
		"a full server":    {&routes{plain: &relay.Route{Service: (&mysqlServer{instead: (&mysql.Error{Code: 1040, Message: "Too many connections"}).Append(nil)}).start(t)}}, string(mysql.Append(nil, 1, mysqlLogin)), 1040, "Too many connections", "", "dial_failed"},
		"another protocol": {&routes{plain: &relay.Route{Service: (&mysqlServer{instead: []byte("\x09old")}).start(t)}}, string(mysql.Append(nil, 1, mysqlLogin)), 2013, "(upstream_protocol)", "", "upstream_protocol"},
		"no TLS there":     {&routes{plain: &relay.Route{Service: &backend{address: service.address, tls: &tls.Config{}}}}, string(mysql.Append(nil, 1, mysqlLogin)), 2013, "(upstream_protocol)", "", "upstream_protocol"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := newEdge(t, tt.routes, speaksMySQL)
			c := mysqlClient(t, e)
			if _, err := io.WriteString(c, tt.send); err != nil {
				t.Fatal(err)
			}
			c.Sequence = 2
			p, err := c.Next()
			if err != nil {
				t.Fatal(err)
			}
			var told *mysql.Error
			if err := mysql.ParseError(p); !errors.As(err, &told) || told.Code != tt.code || len(told.State) != 5 || !strings.Contains(told.Message, tt.says) || strings.Contains(told.Message, "secret") {
				t.Errorf("it is told %v", err)
			}
			if rest, err := io.ReadAll(c); err != nil || len(rest) > 0 {
				t.Errorf("and then %q, %v", rest, err)
			}
			if tt.rule == "" {
				if how := e.log.wait(t); how != tt.kind {
					t.Error(how)
				}
				return
			}
			c.ReadWriter.(io.Closer).Close()
			var refusal *relay.Refusal
			if err := <-e.refused; !errors.As(err, &refusal) || refusal.Rule != tt.rule {
				t.Errorf("it is refused by %v", err)
			}
		})
	}
}

// shut lets nobody in.
type shut struct{}

func (shut) Enter(*exchange.Conn) error { return exchange.Forbidden.Withf("shut") }
func (shut) Leave(*exchange.Conn)       {}

// A name that nobody has, a client that stops in the middle of its login, and one whose server does.
func TestMySQLEnds(t *testing.T) {
	silent := serve(t, func(c *net.TCPConn) {
		m := &mysqlServer{plugin: "talks"}
		(&mysql.Conn{ReadWriter: c}).Send(m.greeting())
		io.Copy(io.Discard, c)
	})
	within := func(limit time.Duration) *edge {
		return newEdge(t, &routes{plain: &relay.Route{Service: &backend{address: silent}}, secure: map[string]*relay.Route{"a.example": {TLS: terminating()}}},
			speaksMySQL, func(s *relay.Server) { s.Handshake = limit })
	}
	e := within(time.Minute)
	if err := ping(t, e, "b.example", "secret"); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
		t.Errorf("a name that nobody has: %v", err)
	}
	var refusal *relay.Refusal
	if err := <-e.refused; !errors.As(err, &refusal) || refusal.Rule != "mysql_router" {
		t.Errorf("it is refused by %v", err)
	}
	c := mysqlClient(t, e)
	c.Send(mysqlLogin)
	c.ReadWriter.(io.Closer).Close()
	if how := e.log.wait(t); how != "client_abort" {
		t.Error(how)
	}
	e = within(time.Second)
	c = mysqlClient(t, e)
	c.Write(mysql.Append(nil, 1, mysqlLogin)[:45])
	if rest, err := io.ReadAll(c); len(rest) > 0 || err == nil {
		t.Errorf("half a login is answered %q, %v", rest, err)
	}
	if how := e.log.wait(t); how != "client_timeout" {
		t.Error(how)
	}
	e = within(time.Second)
	c = mysqlClient(t, e)
	c.Send(mysqlLogin)
	p, err := c.Next()
	if err != nil {
		t.Fatal(err)
	}
	var told *mysql.Error
	if err := mysql.ParseError(p); !errors.As(err, &told) || told.Code != 2013 || !strings.Contains(told.Message, "(upstream_timeout)") {
		t.Errorf("a server that does not answer: %v", err)
	}
	if how := e.log.wait(t); how != "upstream_timeout" {
		t.Error(how)
	}
}
