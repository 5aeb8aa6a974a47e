package h1

import (
	"github.com/pergola-mesh/pergola/internal/word"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/fields"
)

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
	unmet       bool      // something else is expected than we know
	connections [4][]byte // Connection fields that name others
	nConnection int
}

// parseFields parses field lines from buf[at:] on, up to and with the empty line that ends them, into h,
// whose memory is buf, and returns where that ends; -1 when it has not arrived. Fields about the
// connection and the framing go to f instead. RFC 9112 §5.
func parseFields(h *exchange.Header, f *framing, buf []byte, at int, lim *fields.Limits) (int, error) {
	count := 0
	for ; count < lim.Fields && at < len(buf) && buf[at] != '\r'; count++ {
		id, n := exchange.Spelled(buf, at)
		colon, underscore := at+n, false
		if id == 0 {
			var err error
			if colon, underscore, err = fieldName(buf, at); err != nil || colon < 0 {
				return -1, err
			}
			id = exchange.Identify(buf[at:colon])
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
		if underscore && lim.Underscore != fields.AllowUnderscore {
			if lim.Underscore == fields.RejectUnderscore {
				return -1, fields.RuleUnderscore
			}
			at = next
			continue
		}
		if hopByHop&(1<<id) == 0 {
			h.AddReceived(id, at, colon-at, from, to, next)
		} else if err := f.take(id, buf[from:to:to]); err != nil {
			return -1, err
		}
		at = next
	}
	return sectionEnd(buf, at, count == lim.Fields)
}

// sectionEnd returns where a section ends all of whose fields come before buf[at]: behind the empty line;
// -1 when that has not arrived. Another field in its place is one too many for one that is full.
func sectionEnd(buf []byte, at int, full bool) (int, error) {
	switch rest := buf[at:]; {
	case len(rest) == 0 || len(rest) == 1 && rest[0] == '\r':
		return -1, nil
	case rest[0] == '\r' && rest[1] == '\n':
		return at + 2, nil
	case full:
		return -1, fields.RuleFieldCount
	}
	return -1, fields.RuleFieldName
}

// fieldName checks the name that begins at buf[at] and returns where its colon is; -1 when that has not
// arrived.
func fieldName(buf []byte, at int) (colon int, underscore bool, err error) {
	seen := uint8(0)
	for i := at; i < len(buf); i++ {
		k := fields.Class[buf[i]]
		if k&fields.IsToken != 0 {
			seen |= k
			continue
		}
		switch c := buf[i]; {
		case c == ':' && i > at:
			if i-at > fields.MaxName {
				return 0, false, fields.RuleNameLong
			}
			return i, seen&fields.IsUnderscore != 0, nil
		case c == '\n':
			return 0, false, ruleBareLF
		case i == at && (c == ' ' || c == '\t'):
			return 0, false, ruleObsFold
		}
		return 0, false, fields.RuleFieldName
	}
	return -1, false, nil
}

// valueEnd returns where the value that begins at buf[at] ends: at CRLF. -1 when that has not arrived.
// Control bytes other than HTAB are refused. RFC 9110 §5.5.
func valueEnd(buf []byte, at int) (int, error) {
	for {
		marks := word.Controls(word.At(buf, at)) // the zeros behind the end are marked too
		if marks == 0 {
			at += 8
			continue
		}
		i := at + word.First(marks)
		switch {
		case i+1 < len(buf) && buf[i] == '\r' && buf[i+1] == '\n':
			return i, nil
		case i == len(buf) || buf[i] == '\r' && i+1 == len(buf):
			return -1, nil
		case buf[i] == '\n':
			return -1, ruleBareLF
		case buf[i] != '\t':
			return -1, fields.RuleFieldValue
		}
		at = i + 1
	}
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
		n, ok := fields.ParseLength(v)
		if !ok {
			return fields.RuleLength
		}
		if f.length >= 0 && f.length != n {
			return fields.RuleLengthMany
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
		if exchange.EqualFold(v, "100-continue") {
			f.expect = true
		} else {
			f.unmet = true
		}
	}
	return nil
}

// connection reads one Connection field. RFC 9110 §7.6.1.
func (f *framing) connection(v []byte) error {
	switch string(v) { // mostly it is one of these alone
	case "keep-alive":
		f.keepAlive = true
		return nil
	case "close":
		f.closing = true
		return nil
	}
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
			return fields.RuleFieldCount
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
