// Package hello reads ClientHellos without answering them: the server name and the protocols that a
// client of TLS asks for.
//
// It believes nothing that another parser may read differently: a message that is not well formed to its
// end is refused, and so is one that says a thing twice.
package hello

import (
	"errors"
	"fmt"
)

// Hello is what a ClientHello asks for.
type Hello struct {
	// ServerName is the host of the extension server_name, in lower case; empty without one.
	ServerName string
	// Protocols are those of the extension ALPN, in the client's order.
	Protocols []string
}

// Handshake is the type of the records that a ClientHello comes in. RFC 8446 §5.1.
const Handshake = 22

// UnrecognizedName is the alert for a server name that nobody here has, as a record of its own. RFC 8446
// §6, RFC 6066 §3.
var UnrecognizedName = []byte{21, 3, 3, 0, 2, 2, 112}

// MaxSize is the largest beginning of a connection that is looked at, in bytes. A client with post-quantum
// key shares sends some 1.8 KiB.
const MaxSize = 16 << 10

const (
	recordHeader   = 5
	messageHeader  = 4
	maxRecord      = 16 << 10
	clientHello    = 1
	serverNameType = 0
	alpnType       = 16
)

// ErrMore says that the message has not arrived as a whole yet.
var ErrMore = errors.New("the ClientHello is not complete")

// errSize is a message that will not fit.
var errSize = fmt.Errorf("a ClientHello of more than %d bytes", MaxSize)

// Parse reads the ClientHello at the beginning of b, which may be spread over records. ErrMore when some
// of it has yet to arrive, and every other error as soon as it can be told. RFC 8446 §4.1.2, §5.1.
func Parse(b []byte) (Hello, error) {
	message, err := gather(b)
	if err != nil {
		return Hello{}, err
	}
	return parseMessage(message)
}

// gather returns the body of the handshake message that the records in b begin with.
func gather(b []byte) ([]byte, error) {
	var joined []byte // what several records hold
	for {
		fragment, rest, err := record(b)
		if err != nil {
			return nil, err
		}
		if joined == nil {
			joined = fragment[:len(fragment):len(fragment)]
		} else {
			joined = append(joined, fragment...)
		}
		if len(joined) > 0 && joined[0] != clientHello {
			return nil, fmt.Errorf("a handshake message of type %d instead of a ClientHello", joined[0])
		}
		if len(joined) >= messageHeader {
			size := int(joined[1])<<16 | int(joined[2])<<8 | int(joined[3])
			switch have := len(joined) - messageHeader; {
			case size > MaxSize:
				return nil, errSize
			case have == size:
				return joined[messageHeader:], nil
			case have > size:
				return nil, errFollowed
			}
		}
		b = rest
	}
}

// record returns the payload of the handshake record that b begins with.
func record(b []byte) (payload, rest []byte, err error) {
	switch {
	case len(b) > 0 && b[0] != Handshake:
		return nil, nil, fmt.Errorf("a record of type %d instead of a handshake", b[0])
	case len(b) > 1 && b[1] >= 16: // else it is of no consequence
		return nil, nil, fmt.Errorf("a record of version %d.x", b[1])
	case len(b) < recordHeader:
		return nil, nil, ErrMore
	}
	n := int(b[3])<<8 | int(b[4])
	switch {
	case n == 0 || n > maxRecord:
		return nil, nil, fmt.Errorf("a handshake record of %d bytes", n)
	case len(b) < recordHeader+n:
		return nil, nil, ErrMore
	}
	return b[recordHeader : recordHeader+n], b[recordHeader+n:], nil
}

// reader takes a message apart. Once something is missing bad is set, and all else is empty.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if n > len(r.b) {
		r.b, r.bad = nil, true
		return nil
	}
	p := r.b[:n]
	r.b = r.b[n:]
	return p
}

// number is an unsigned number of n bytes.
func (r *reader) number(n int) (v int) {
	for _, c := range r.take(n) {
		v = v<<8 | int(c)
	}
	return v
}

// vector is a vector whose length takes n bytes. RFC 8446 §3.4.
func (r *reader) vector(n int) reader { return reader{b: r.take(r.number(n)), bad: r.bad} }

// done reports whether everything was there and nothing is left.
func (r *reader) done() bool { return !r.bad && len(r.b) == 0 }

var (
	errMalformed = errors.New("a malformed ClientHello")
	errUnusual   = errors.New("a ClientHello without suites or compression methods, or of a session with a long name")
	errFollowed  = errors.New("something follows the ClientHello in its record")
)

func parseMessage(message []byte) (h Hello, err error) {
	r := reader{b: message}
	r.take(2 + 32) // version, random
	session, suites, compressions := r.vector(1), r.vector(2), r.vector(1)
	if r.bad || len(suites.b)%2 != 0 {
		return h, errMalformed
	}
	if len(session.b) > 32 || len(suites.b) == 0 || len(compressions.b) == 0 {
		return h, errUnusual
	}
	if len(r.b) == 0 { // no extensions: RFC 5246 §7.4.1.2
		return h, nil
	}
	extensions := r.vector(2)
	if !r.done() {
		return h, errMalformed
	}
	var seen [1 << 16 / 64]uint64
	for len(extensions.b) > 0 {
		kind := extensions.number(2)
		body := extensions.vector(2)
		if extensions.bad {
			return h, errMalformed
		}
		if seen[kind/64]&(1<<(kind%64)) != 0 {
			return h, fmt.Errorf("a ClientHello with two extensions of type %d", kind)
		}
		seen[kind/64] |= 1 << (kind % 64)
		switch kind {
		case serverNameType:
			h.ServerName, err = serverName(body)
		case alpnType:
			h.Protocols, err = protocols(body)
		}
		if err != nil {
			return Hello{}, err
		}
	}
	return h, nil
}

// serverName reads the extension server_name. RFC 6066 §3.
func serverName(r reader) (string, error) {
	const hostName = 0
	list := r.vector(2)
	if !r.done() || len(list.b) == 0 {
		return "", errMalformed
	}
	name := ""
	for len(list.b) > 0 {
		kind := list.number(1)
		text := list.vector(2)
		switch {
		case list.bad || len(text.b) == 0:
			return "", errMalformed
		case kind != hostName:
			continue
		case name != "":
			return "", errors.New("a ClientHello with two server names")
		}
		var err error
		if name, err = normalize(text.b); err != nil {
			return "", err
		}
	}
	return name, nil
}

// normalize checks the characters of a name and puts it in lower case.
func normalize(text []byte) (string, error) {
	if len(text) > 255 || text[len(text)-1] == '.' {
		return "", fmt.Errorf("the server name %.64q is no host name", text)
	}
	lower := make([]byte, len(text))
	for i, c := range text {
		if c <= ' ' || c >= 0x7f {
			return "", fmt.Errorf("the server name %.64q is no host name", text)
		}
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		lower[i] = c
	}
	return string(lower), nil
}

// protocols reads the extension ALPN. RFC 7301 §3.1.
func protocols(r reader) (names []string, err error) {
	list := r.vector(2)
	if !r.done() || len(list.b) == 0 {
		return nil, errMalformed
	}
	for len(list.b) > 0 {
		name := list.vector(1)
		if list.bad || len(name.b) == 0 {
			return nil, errMalformed
		}
		names = append(names, string(name.b))
	}
	return names, nil
}
