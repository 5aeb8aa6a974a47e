package relay_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"hash"
	"net"
	"sync"
	"testing"

	"github.com/pergola-mesh/pergola/proxy/relay/mysql"
)

// mysqlServer is as much of a server of MySQL as logs users in whose password is secret, and pings.
type mysqlServer struct {
	plugin string // the user's; empty for a server of before there were plugins
	tls    bool   // TLS is wanted, and done
	knows  bool   // the password is remembered, for caching_sha2_password
	// instead of a greeting.
	instead []byte
	// logins are those that came.
	logins chan *mysql.Login
}

const mysqlScramble = "ABCDEFGHabcdefghijkl"

var mysqlKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func (m *mysqlServer) start(t *testing.T) *backend {
	m.logins = make(chan *mysql.Login, 100)
	b := &backend{address: serve(t, m.serve)}
	if m.tls {
		b.tls = &tls.Config{InsecureSkipVerify: true}
	}
	return b
}

// greeting is that of a server of MySQL 8.4, or of 5.1.
func (m *mysqlServer) greeting() []byte {
	low, high, plugin := uint16(0xffff), uint16(0xdfff), "caching_sha2_password\x00"
	if !m.tls {
		low &^= 0x0800
	}
	version := "8.4.0\x00"
	if m.plugin == "" {
		version, low, high, plugin = "5.1.73\x00", low&0xf7ff, 0, ""
	}
	b := append([]byte{10}, version...)
	b = append(b, 9, 0, 0, 0)
	b = append(b, mysqlScramble[:8]+"\x00"...)
	b = append(b, byte(low), byte(low>>8), 255, 2, 0, byte(high), byte(high>>8), 21)
	b = append(b, make([]byte, 10)...)
	return append(b, mysqlScramble[8:]+"\x00"+plugin...)
}

func (m *mysqlServer) serve(raw *net.TCPConn) {
	c := &mysql.Conn{ReadWriter: raw}
	if m.instead != nil {
		c.Send(m.instead)
		return
	}
	c.Send(m.greeting())
	p, err := c.Next()
	if err != nil {
		return
	}
	if m.tls {
		if _, request, err := mysql.Wishes(p); err != nil || !request {
			c.Send(mysql.NewError(3159, "TLS is wanted").Append(nil))
			return
		}
		request := p
		c.ReadWriter = tls.Server(raw, terminating()())
		if p, err = c.Next(); err != nil {
			return
		}
		if !bytes.HasPrefix(p, request) { // servers go by what the request said
			c.Send(mysql.NewError(mysql.HandshakeError, "Bad handshake").Append(nil))
			return
		}
	}
	login, err := mysql.ParseLogin(p)
	if err != nil {
		return
	}
	m.logins <- login
	proof := login.Proof
	if m.plugin != "" && string(login.Plugin) != m.plugin {
		c.Send([]byte("\xfe" + m.plugin + "\x00" + mysqlScramble + "\x00"))
		if proof, err = c.Next(); err != nil {
			return
		}
	}
	if !m.proven(c, proof) {
		c.Send((&mysql.Error{Code: 1045, State: "28000", Message: "Access denied for user '" + string(login.User) + "'"}).Append(nil))
		return
	}
	ok := []byte{0, 0, 0, 2, 0, 0, 0}
	c.Send(ok)
	for {
		p, err := mysql.Read(c.ReadWriter)
		if err != nil || p.Sequence != 0 || len(p.Payload) == 0 || p.Payload[0] != 0x0e {
			return
		}
		c.Sequence = 1
		c.Send(ok)
	}
}

// proven reports whether a client knows the password.
func (m *mysqlServer) proven(c *mysql.Conn, proof []byte) bool {
	switch m.plugin {
	case "", "mysql_native_password":
		once := digest(sha1.New(), []byte("secret"))
		return bytes.Equal(proof, xor(once, digest(sha1.New(), []byte(mysqlScramble), digest(sha1.New(), once))))
	case "caching_sha2_password":
		once := digest(sha256.New(), []byte("secret"))
		if m.knows {
			if !bytes.Equal(proof, xor(once, digest(sha256.New(), digest(sha256.New(), once), []byte(mysqlScramble)))) {
				return false
			}
			c.Send([]byte{1, 3})
			return true
		}
		c.Send([]byte{1, 4})
		return m.told(c, nil, 2)
	case "sha256_password":
		return m.told(c, proof, 1)
	case "talks": // on, without being asked to
		c.Send([]byte("something"))
		c.Send([]byte("\x01more"))
		return string(proof) == "proof"
	}
	return false
}

// told reports whether a client tells the password: in TLS as it is, else encrypted.
func (m *mysqlServer) told(c *mysql.Conn, p []byte, wantsKey byte) bool {
	if p == nil {
		p, _ = c.Next()
	}
	if m.tls {
		return string(p) == "secret\x00"
	}
	if len(p) != 1 || p[0] != wantsKey {
		return false
	}
	der, err := x509.MarshalPKIXPublicKey(&mysqlKey().PublicKey)
	if err != nil {
		return false
	}
	c.Send(append([]byte{1}, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})...))
	if p, err = c.Next(); err != nil {
		return false
	}
	p, err = rsa.DecryptOAEP(sha1.New(), nil, mysqlKey(), p, nil)
	return err == nil && string(xor(p, []byte(mysqlScramble))) == "secret\x00"
}

func digest(h hash.Hash, parts ...[]byte) []byte {
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

func xor(a, b []byte) []byte {
	out := make([]byte, len(a))
	for i := range a {
		out[i] = a[i] ^ b[i%len(b)]
	}
	return out
}
