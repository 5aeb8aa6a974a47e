package h1

import (
	"encoding/binary"
	"math"
	"math/bits"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// Underscore is what happens to a request with a field name that has an underscore, which servers
// that turn names into variables confuse with one that has a dash.
type Underscore uint8

// The ways to treat underscores.
const (
	RejectUnderscore Underscore = iota
	DropUnderscore
	AllowUnderscore
)

// Limits bound a message head.
type Limits struct {
	// HeaderBytes is the size of the whole head, start line included.
	HeaderBytes int
	// Fields is the number of fields.
	Fields int
	// TargetBytes is the size of the request target.
	TargetBytes int
	// Underscore applies to requests.
	Underscore Underscore
}

// DefaultLimits are those of an unconfigured entry point, and of every server's response.
var DefaultLimits = Limits{HeaderBytes: 32 << 10, Fields: 100, TargetBytes: 8 << 10}

const (
	isToken = 1 << iota
	isUnderscore
	isHost
)

// class tells what a byte may be part of. RFC 9110 §5.6.2, RFC 3986 §3.2.2.
var class = func() (t [256]uint8) {
	for c := '0'; c <= '9'; c++ {
		t[c] = isToken | isHost
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-32] = isToken|isHost, isToken|isHost
	}
	for _, c := range []byte("!#$%&'*+-.^_`|~") {
		t[c] |= isToken
	}
	for _, c := range []byte("-._~!$&'()*+,;=:[]") {
		t[c] |= isHost
	}
	t['_'] |= isUnderscore
	return
}()

// framing is what a head says of the message and the connection, taken out of its fields.
type framing struct {
	host        []byte
	hosts       int
	length      int64 // -1: no Content-Length
	chunked     bool
	coded       bool // there was a Transfer-Encoding
	closing     bool // Connection: close
	keepAlive   bool // Connection: keep-alive
	upgrading   bool // Connection: upgrade
	upgrade     []byte
	expect      bool
	connections [4][]byte // Connection fields that name others
	nConnection int
}

// parseFields parses field lines from buf[at:] on, up to and with the empty line that ends them, into h,
// whose memory is buf, and returns where that ends; -1 when it has not arrived. Fields about the
// connection and the framing go to f instead. RFC 9112 §5.
func parseFields(h *exchange.Header, f *framing, buf []byte, at int, lim *Limits) (int, error) {
	for count := 0; ; count++ {
		if at+1 < len(buf) && buf[at] == '\r' && buf[at+1] == '\n' {
			return at + 2, nil
		}
		if count == lim.Fields {
			return -1, ruleFieldCount
		}
		colon, underscore, err := fieldName(buf, at)
		if err != nil || colon < 0 {
			return -1, err
		}
		from := colon + 1
		for from < len(buf) && (buf[from] == ' ' || buf[from] == '\t') {
			from++
		}
		to, err := valueEnd(buf, from)
		if err != nil || to < 0 {
			return -1, err
		}
		next := to + 2
		for to > from && (buf[to-1] == ' ' || buf[to-1] == '\t') {
			to--
		}
		if underscore && lim.Underscore != AllowUnderscore {
			if lim.Underscore == RejectUnderscore {
				return -1, ruleUnderscore
			}
			at = next
			continue
		}
		id := exchange.Identify(buf[at:colon])
		if hopByHop&(1<<id) == 0 {
			h.AddReceived(id, at, colon-at, from, to, next)
		} else if err := f.take(id, buf[from:to:to]); err != nil {
			return -1, err
		}
		at = next
	}
}

// fieldName checks the name that begins at buf[at] and returns where its colon is; -1 when that has not
// arrived.
func fieldName(buf []byte, at int) (colon int, underscore bool, err error) {
	seen := uint8(0)
	for i := at; i < len(buf); i++ {
		k := class[buf[i]]
		if k&isToken != 0 {
			seen |= k
			continue
		}
		switch c := buf[i]; {
		case c == ':' && i > at:
			if i-at > maxName {
				return 0, false, ruleNameLong
			}
			return i, seen&isUnderscore != 0, nil
		case c == '\n':
			return 0, false, ruleBareLF
		case i == at && (c == ' ' || c == '\t'):
			return 0, false, ruleObsFold
		case i == at && c == '\r' && i+1 == len(buf):
			return -1, false, nil // the beginning of the empty line
		}
		return 0, false, ruleFieldName
	}
	return -1, false, nil
}

// maxName is the length of a field name, in bytes.
const maxName = exchange.MaxNameLen / 4

// valueEnd returns where the value that begins at buf[at] ends: at CRLF. -1 when that has not arrived.
// Control bytes other than HTAB are refused. RFC 9110 §5.5.
func valueEnd(buf []byte, at int) (int, error) {
	for {
		i := control(buf, at)
		switch {
		case i == len(buf) || buf[i] == '\r' && i+1 == len(buf):
			return -1, nil
		case buf[i] == '\r' && buf[i+1] == '\n':
			return i, nil
		case buf[i] == '\n':
			return -1, ruleBareLF
		case buf[i] != '\t':
			return -1, ruleFieldValue
		}
		at = i + 1
	}
}

// control returns where the first control byte at or behind buf[at] is, or len(buf). It looks at eight
// bytes at a time.
func control(buf []byte, at int) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for ; at+8 <= len(buf); at += 8 {
		w := binary.LittleEndian.Uint64(buf[at:])
		low := (w - ones*0x20) & ^w & highs // the top bit of every byte under 0x20
		del := w ^ ones*0x7f                // 0 where a byte is DEL
		del = (del - ones) & ^del & highs
		if low |= del; low != 0 { // a borrow can raise false bits, but only above a true one
			return at + bits.TrailingZeros64(low)>>3
		}
	}
	for ; at < len(buf); at++ {
		if c := buf[at]; c < ' ' || c == 0x7f {
			return at
		}
	}
	return at
}

// plain reports whether text has no control bytes other than HTAB.
func plain(text []byte) bool {
	for _, c := range text {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

var (
	hostID        = exchange.Host.ID()
	connectionID  = exchange.Connection.ID()
	keepAliveID   = exchange.KeepAlive.ID()
	proxyConnID   = exchange.ProxyConnection.ID()
	teID          = exchange.TE.ID()
	transferID    = exchange.TransferEncoding.ID()
	lengthID      = exchange.ContentLength.ID()
	upgradeID     = exchange.Upgrade.ID()
	expectID      = exchange.Expect.ID()
	proxyAuthID   = exchange.ProxyAuthorization.ID()
	proxyAuthenID = exchange.ProxyAuthenticate.ID()
)

// hopByHop has a bit for every field that framing takes. RFC 9110 §7.6.1.
var hopByHop = func() (set uint64) {
	for _, id := range []exchange.ID{hostID, connectionID, keepAliveID, proxyConnID, teID,
		transferID, lengthID, upgradeID, expectID, proxyAuthID, proxyAuthenID} {
		set |= 1 << id
	}
	return
}()

// take keeps a field of hopByHop.
func (f *framing) take(id exchange.ID, v []byte) error {
	switch id {
	case hostID:
		f.host = v
		f.hosts++
	case connectionID:
		return f.connection(v)
	case lengthID:
		n, ok := parseLength(v)
		if !ok {
			return ruleLength
		}
		if f.length >= 0 && f.length != n {
			return ruleLengthMany
		}
		f.length = n
	case transferID:
		if f.coded || !exchange.EqualFold(v, "chunked") {
			return ruleTE
		}
		f.coded, f.chunked = true, true
	case upgradeID:
		f.upgrade = v
	case expectID:
		if !exchange.EqualFold(v, "100-continue") {
			return ruleExpect
		}
		f.expect = true
	}
	return nil
}

// connection reads one Connection field. RFC 9110 §7.6.1.
func (f *framing) connection(v []byte) error {
	named := false
	for item := range exchange.List(v) {
		switch {
		case exchange.EqualFold(item, "close"):
			f.closing = true
		case exchange.EqualFold(item, "keep-alive"):
			f.keepAlive = true
		case exchange.EqualFold(item, "upgrade"):
			f.upgrading = true
		default:
			named = true
		}
	}
	if named {
		if f.nConnection == len(f.connections) {
			return ruleFieldCount
		}
		f.connections[f.nConnection] = v
		f.nConnection++
	}
	return nil
}

// strip removes the fields that Connection names. RFC 9110 §7.6.1.
func (f *framing) strip(h *exchange.Header) {
	for _, v := range f.connections[:f.nConnection] {
		for item := range exchange.List(v) {
			h.DelFunc(func(name, _ []byte) bool { return exchange.EqualFold(name, item) })
		}
	}
}

// parseLength reads a Content-Length: digits only, up to the largest int64. RFC 9110 §8.6.
func parseLength(v []byte) (int64, bool) {
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
