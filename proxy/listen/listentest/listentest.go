// Package listentest has the tests of what serves connections run on each path that these can take.
package listentest

import (
	"flag"
	"net"
	"testing"

	"github.com/pergola-mesh/pergola/proxy/listen"
)

// Main runs all tests, and then once more after each of others, until some fail; it is for TestMain, and returns
// the exit code. Where tests are fuzzed, measured or listed they run once. Flags must have been parsed.
func Main(m *testing.M, others ...func()) int {
	openPollers()
	code := m.Run()
	if !flagIs("test.fuzz", "") || !flagIs("test.fuzzworker", "false") || !flagIs("test.bench", "") || !flagIs("test.list", "") {
		return code
	}
	for _, prepare := range others {
		if code != 0 {
			break
		}
		prepare()
		code = m.Run()
	}
	return code
}

func flagIs(name, value string) bool { return flag.Lookup(name).Value.String() == value }

// openPollers has the process open the descriptors that stay for good, before any test counts them.
func openPollers() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		panic(err)
	}
	if lc := listen.NewConn(c, nil); lc.Park(nil) {
		lc.Unpark()
	}
	c.Close()
	ln.Close()
}

// Veil hides the descriptor of c, a connection of TCP, so that what serves it takes the portable path. Like a
// connection of TLS, it tells what it is made of.
func Veil(c net.Conn) net.Conn { return veiled{c} }

type veiled struct{ net.Conn }

// NetConn is the connection behind it.
func (v veiled) NetConn() net.Conn { return v.Conn }

// CloseWrite ends the sending direction.
func (v veiled) CloseWrite() error { return v.Conn.(*net.TCPConn).CloseWrite() }
