package fields

import (
	"bytes"
	"math"
	"net/netip"

	"github.com/pergola-mesh/pergola/internal/word"
)

// What a byte may be part of.
const (
	IsToken = 1 << iota
	IsUnderscore
	IsUpper
	isHost
	aroundHost // what is beside a name: a port's colon, an address's brackets
)

// Class tells what a byte may be part of. RFC 9110 §5.6.2, RFC 3986 §3.2.2.
var Class = func() (t [256]uint8) {
	for c := '0'; c <= '9'; c++ {
		t[c] = IsToken | isHost
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-32] = IsToken|isHost, IsToken|isHost|IsUpper
	}
	for _, c := range []byte("!#$%&'*+-.^_`|~") {
		t[c] |= IsToken
	}
	for _, c := range []byte("-._~!$&'()*+;=:[]") { // no comma: who makes a list of hosts confuses somebody
		t[c] |= isHost
	}
	for _, c := range []byte(":[]") {
		t[c] |= aroundHost
	}
	t['_'] |= IsUnderscore
	return
}()

// Token reports whether text is a token. RFC 9110 §5.6.2.
func Token(text []byte) bool {
	for _, c := range text {
		if Class[c]&IsToken == 0 {
			return false
		}
	}
	return len(text) > 0
}

// Plain reports whether text has no control bytes other than HTAB. RFC 9110 §5.5.
func Plain(text []byte) bool {
	for at := 0; ; at++ {
		marks := word.Controls(word.At(text, at))
		for ; marks == 0; marks = word.Controls(word.At(text, at)) {
			at += 8
		}
		if at += word.First(marks); at == len(text) { // the zeros behind the end are marked too
			return true
		}
		if text[at] != '\t' {
			return false
		}
	}
}

// ValidHost accepts uri-host [":" port], without userinfo. An escape in a host is refused: servers differ
// in whether they decode it, and names are not written so. RFC 9110 §4.2.
func ValidHost(h []byte) bool {
	if len(h) == 0 || len(h) > 300 {
		return false
	}
	seen, all := uint8(0), uint8(isHost)
	for _, c := range h {
		seen |= Class[c]
		all &= Class[c]
	}
	if all == 0 || seen&aroundHost == 0 {
		return all != 0
	}
	if h[0] == '[' {
		i := bytes.IndexByte(h, ']')
		if i < 0 {
			return false
		}
		addr, err := netip.ParseAddr(string(h[1:i]))
		return err == nil && addr.Is6() && (len(h) == i+1 || h[i+1] == ':' && digits(h[i+2:]))
	}
	if bytes.IndexByte(h, '[') >= 0 || bytes.IndexByte(h, ']') >= 0 {
		return false
	}
	i := bytes.IndexByte(h, ':')
	return i < 0 || i > 0 && digits(h[i+1:])
}

func digits(p []byte) bool {
	for _, c := range p {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(p) <= 5
}

// ParseLength reads a Content-Length: digits only, up to the largest int64. RFC 9110 §8.6.
func ParseLength(v []byte) (int64, bool) {
	if len(v) == 0 || len(v) > 19 {
		return 0, false
	}
	n := uint64(0)
	for _, c := range v {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + uint64(c-'0')
	}
	return int64(n), n <= math.MaxInt64
}

// CheckTarget tells what is wrong with the bytes of a request target; nil when nothing is.
func CheckTarget(t []byte) *Rule {
	for at := 0; ; at += 8 {
		w := word.At(t, at)
		marks := word.Controls(w) | word.Equal(w, ' ') | word.Equal(w, '#')
		if marks == 0 {
			continue
		}
		switch at += word.First(marks); { // the zeros behind the end are marked too
		case at == len(t):
			return nil
		case t[at] == '#':
			return RuleFragment
		}
		return RuleTarget
	}
}

// Bodiless reports whether an answer of this status to this method never has a body. RFC 9110 §6.4.1.
func Bodiless(method string, status int) bool {
	return method == "HEAD" || status < 200 || status == 204 || status == 304
}
