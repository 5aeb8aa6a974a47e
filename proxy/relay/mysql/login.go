package mysql

import "encoding/binary"

// RequestSize is the length of a request for TLS, and of the beginning that a login has in common with it.
const RequestSize = 32

const (
	filler = 23
	// maxPacketSize is what clients say when they mean the most there is, in bytes.
	maxPacketSize = 1<<24 - 1
)

// Login is what a client wants, and who it is: Protocol::HandshakeResponse41.
type Login struct {
	Capabilities Capabilities
	MaxPacket    uint32 // in bytes
	Charset      byte
	User         []byte
	// Proof is what Plugin makes of the password; empty without one.
	Proof    []byte
	Database []byte // nil without ConnectWithDB
	Plugin   []byte
	// Attributes are names and values that the client tells of itself, as they are written.
	Attributes []byte
}

// CheckFirst tells what is wrong with the header of a client's first packet.
func CheckFirst(size int, sequence byte) error {
	switch {
	case sequence != 1:
		return malformed("number %d out of turn, which is 1's", sequence)
	case size > MaxPacket:
		return malformed("%d bytes, and %d at most", size, MaxPacket)
	case size < RequestSize:
		return malformed("a login of %d bytes", size)
	}
	return nil
}

// Wishes reads the capabilities of a client from the beginning of a payload, which is a request for TLS
// (Protocol::SSLRequest) or a login.
func Wishes(payload []byte) (c Capabilities, request bool, err error) {
	if len(payload) < RequestSize {
		return 0, false, malformed("a login of %d bytes", len(payload))
	}
	c = Capabilities(binary.LittleEndian.Uint32(payload))
	switch {
	case !c.has(Protocol41):
		return 0, false, malformed("a login of before version 4.1")
	case len(payload) == RequestSize && !c.has(SSL):
		return 0, false, malformed("a request for TLS that asks for none")
	}
	return c, len(payload) == RequestSize, nil
}

// ParseLogin reads a client's login. It shares the payload's memory.
func ParseLogin(payload []byte) (*Login, error) {
	c, request, err := Wishes(payload)
	if err != nil {
		return nil, err
	}
	if request {
		return nil, malformed("a request for TLS instead of a login")
	}
	r := reader{b: payload}
	r.take(4)
	l := &Login{Capabilities: c, MaxPacket: uint32(r.number(4)), Charset: byte(r.number(1))}
	r.take(filler)
	l.User = r.text()
	switch {
	case c.has(PluginAuthLenencData):
		l.Proof = r.block()
	case c.has(SecureConnection):
		l.Proof = r.take(int(r.number(1)))
	default:
		l.Proof = r.text()
	}
	if c.has(ConnectWithDB) {
		l.Database = r.lastText()
	}
	if c.has(PluginAuth) {
		l.Plugin = r.lastText()
	}
	if c.has(ConnectAttrs) && len(r.b) > 0 {
		l.Attributes = r.block()
	}
	if r.bad {
		return nil, malformed("a login that ends too early")
	}
	return l, nil
}

// appendWishes appends what a request for TLS is, and how a login begins.
func appendWishes(b []byte, c Capabilities, maxPacket uint32, charset byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(c))
	b = binary.LittleEndian.AppendUint32(b, maxPacket)
	return append(append(b, charset), make([]byte, filler)...)
}

// Append appends the login's payload.
func (l *Login) Append(b []byte) []byte {
	b = appendWishes(b, l.Capabilities, l.MaxPacket, l.Charset)
	b = appendText(b, l.User)
	switch {
	case l.Capabilities.has(PluginAuthLenencData):
		b = appendBlock(b, l.Proof)
	case l.Capabilities.has(SecureConnection):
		b = append(append(b, byte(len(l.Proof))), l.Proof...)
	default:
		b = appendText(b, l.Proof)
	}
	if l.Capabilities.has(ConnectWithDB) {
		b = appendText(b, l.Database)
	}
	if l.Capabilities.has(PluginAuth) {
		b = appendText(b, l.Plugin)
	}
	if l.Capabilities.has(ConnectAttrs) {
		b = appendBlock(b, l.Attributes)
	}
	return b
}

// Adapt is the login for a server: it asks for nothing that the server does not have, nor for what was not
// offered to the client. What the client proved, it proved with another scramble, and is left out. secure
// says that the login goes over TLS.
func (l *Login) Adapt(g *Greeting, secure bool) (*Login, error) {
	to := *l
	to.Capabilities = l.Capabilities&Offered&g.Capabilities | LongPassword | Protocol41 | SecureConnection
	if secure {
		to.Capabilities |= SSL
	}
	to.Proof, to.Plugin = nil, nil
	if len(l.Database) > 0 && !to.Capabilities.has(ConnectWithDB) {
		return nil, NewError(HandshakeError, "The server does not take a database at login; connect without one")
	}
	return &to, nil
}
