package mysql

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
)

// The plugins of authentication that matter here.
const (
	NativePassword      = "mysql_native_password"
	CachingSHA2Password = "caching_sha2_password"
	SHA256Password      = "sha256_password"
)

const (
	protocolVersion = 10
	scrambleSize    = 20
	// utf8mb4 is utf8mb4_general_ci, which all servers know. Clients name what they want themselves.
	utf8mb4    = 45
	autocommit = 2
)

// Greeting is how a server greets: Protocol::HandshakeV10.
type Greeting struct {
	// Version is the server's.
	Version      string
	Capabilities Capabilities
	// Scramble is what the proof of a password is made with, 20 bytes.
	Scramble []byte
	// Plugin is the one that the scramble is for; empty without PluginAuth.
	Plugin string
}

// NewGreeting greets a client before it is known which server it will have. Nobody looks at what is proven
// with its scramble: the server will want a proof with its own.
//
// The connection's number is 0, which no server has: a client that takes it to kill a query kills nobody's.
func NewGreeting(version string, secure bool) []byte {
	capabilities := Offered
	if secure {
		capabilities |= SSL
	}
	var scramble [scrambleSize]byte
	rand.Read(scramble[:])
	for i, c := range scramble {
		scramble[i] = '!' + c%('~'-'!') // no zero: it is a text too
	}
	b := appendText([]byte{protocolVersion}, version)
	b = append(b, 0, 0, 0, 0)
	b = append(append(b, scramble[:8]...), 0)
	b = append(b, byte(capabilities), byte(capabilities>>8), utf8mb4, autocommit, 0, byte(capabilities>>16), byte(capabilities>>24))
	b = append(b, scrambleSize+1)
	b = append(b, make([]byte, 10)...)
	b = append(append(b, scramble[8:]...), 0)
	b = appendText(b, CachingSHA2Password)
	return Append(nil, 0, b)
}

// ParseGreeting reads a server's greeting. One that has an error to tell instead has it told, as *Error.
func ParseGreeting(payload []byte) (*Greeting, error) {
	r := reader{b: payload}
	switch version := r.number(1); {
	case !r.bad && version == errorPacket:
		return nil, ParseError(payload)
	case r.bad || version != protocolVersion:
		return nil, malformed("a greeting of version %d instead of %d", version, protocolVersion)
	}
	g := &Greeting{Version: string(r.text())}
	r.take(4)
	g.Scramble = bytes.Clone(r.take(8))
	r.take(1)
	g.Capabilities = Capabilities(r.number(2))
	if len(r.b) > 0 {
		r.take(3) // charset, status
		g.Capabilities |= Capabilities(r.number(2)) << 16
		size := int(r.number(1))
		r.take(10)
		if g.Capabilities.has(SecureConnection) {
			rest := r.take(min(max(13, size-8), len(r.b)))
			g.Scramble = append(g.Scramble, rest[:min(len(rest), scrambleSize-8)]...)
		}
		if g.Capabilities.has(PluginAuth) {
			g.Plugin = string(r.lastText())
		}
	}
	switch {
	case r.bad:
		return nil, malformed("a greeting that ends too early")
	case !g.Capabilities.has(Protocol41) || len(g.Scramble) != scrambleSize:
		return nil, fmt.Errorf("a server from before version 4.1 (%.32q)", g.Version)
	}
	return g, nil
}

var errNoTLS = errors.New("the server does not do TLS")

// Meet reads the greeting of a server on a fresh connection and, if secure is set, asks for TLS. What
// follows on server is either TLS or l as it is adapted to the server. The request says already what l wants:
// servers read that of the request, and not again of the login.
func Meet(server *Conn, l *Login, secure bool) (*Greeting, error) {
	p, err := server.Next()
	if err != nil {
		return nil, err
	}
	g, err := ParseGreeting(p)
	if err != nil || !secure {
		return g, err
	}
	if !g.Capabilities.has(SSL) {
		return nil, errNoTLS
	}
	to, err := l.Adapt(g, true)
	if err != nil {
		return nil, err
	}
	return g, server.Send(appendWishes(nil, to.Capabilities, to.MaxPacket, to.Charset))
}
