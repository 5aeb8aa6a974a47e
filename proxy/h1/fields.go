package h1

import (
	"bytes"
	"encoding/binary"
	"math"

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
	for _, c := range []byte("-._~%!$&'()*+,;=:[]") {
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

// parseFields parses the field lines of buf[at:end], each with its CRLF, into h, whose memory is buf.
// Fields about the connection and the framing go to f instead. RFC 9112 §5.
func parseFields(h *exchange.Header, f *framing, buf []byte, at, end int, lim *Limits) error {
	count := 0
	for at < end {
		nl := bytes.IndexByte(buf[at:end], '\n')
		if nl < 1 || buf[at+nl-1] != '\r' {
			return ruleBareLF
		}
		next := at + nl + 1
		if count++; count > lim.Fields {
			return ruleFieldCount
		}
		colon, underscore, err := fieldName(buf, at, next-2)
		if err != nil {
			return err
		}
		if underscore && lim.Underscore != AllowUnderscore {
			if lim.Underscore == RejectUnderscore {
				return ruleUnderscore
			}
			if !validValue(buf[colon+1 : next-2]) {
				return ruleFieldValue
			}
			at = next
			continue
		}
		from, to := colon+1, next-2
		for from < to && (buf[from] == ' ' || buf[from] == '\t') {
			from++
		}
		for to > from && (buf[to-1] == ' ' || buf[to-1] == '\t') {
			to--
		}
		if !validValue(buf[from:to]) {
			return ruleFieldValue
		}
		id := exchange.Identify(buf[at:colon])
		if id != 0 {
			taken, err := f.take(id, buf[from:to:to])
			if err != nil {
				return err
			}
			if taken {
				at = next
				continue
			}
		}
		h.AddReceived(id, at, colon-at, from, to, next)
		at = next
	}
	return nil
}

// fieldName checks the name that begins at buf[at] and returns where its colon is.
func fieldName(buf []byte, at, end int) (colon int, underscore bool, err error) {
	seen := uint8(0)
	for i := at; i < end; i++ {
		c := buf[i]
		k := class[c]
		if k&isToken != 0 {
			seen |= k
			continue
		}
		switch {
		case c == ':' && i > at:
			if i-at > exchange.MaxNameLen/4 {
				return 0, false, ruleNameLong
			}
			return i, seen&isUnderscore != 0, nil
		case i == at && (c == ' ' || c == '\t'):
			return 0, false, ruleObsFold
		}
		return 0, false, ruleFieldName
	}
	return 0, false, ruleFieldName
}

// validValue refuses control bytes other than HTAB, eight bytes at a time. RFC 9110 §5.5.
func validValue(v []byte) bool {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for len(v) >= 8 {
		w := binary.LittleEndian.Uint64(v)
		low := (w - ones*0x20) & ^w & highs    // a byte under 0x20
		del := w ^ ones*0x7f                   // 0 where a byte is DEL
		del = (del - ones) & ^del & highs      //
		if low|del != 0 && !validSlow(v[:8]) { // perhaps only a tab, or a false alarm of the carry
			return false
		}
		v = v[8:]
	}
	return validSlow(v)
}

func validSlow(v []byte) bool {
	for _, c := range v {
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

// take keeps a field that concerns the connection or the framing, and reports whether it did.
func (f *framing) take(id exchange.ID, v []byte) (bool, error) {
	if hopByHop&(1<<id) == 0 {
		return false, nil
	}
	switch id {
	case hostID:
		f.host = v
		f.hosts++
	case connectionID:
		return true, f.connection(v)
	case lengthID:
		n, ok := parseLength(v)
		if !ok {
			return true, ruleLength
		}
		if f.length >= 0 && f.length != n {
			return true, ruleLengthMany
		}
		f.length = n
	case transferID:
		if f.coded || !exchange.EqualFold(v, "chunked") {
			return true, ruleTE
		}
		f.coded, f.chunked = true, true
	case upgradeID:
		f.upgrade = v
	case expectID:
		if !exchange.EqualFold(v, "100-continue") {
			return true, ruleExpect
		}
		f.expect = true
	}
	return true, nil
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
