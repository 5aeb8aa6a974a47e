package h1

import (
	"bytes"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/fields"
)

// headEnd finds the end of a head that begins at buf[0], after its empty line; -1 when it has not
// arrived. from is how far earlier looks have got. A bare LF is refused as soon as it is there.
func headEnd(buf []byte, from int) (int, error) {
	from = max(from-3, 0)
	if i := bytes.Index(buf[from:], crlfcrlf); i >= 0 {
		return from + i + 4, nil
	}
	for i := from; ; i++ {
		j := bytes.IndexByte(buf[i:], '\n')
		if j < 0 {
			return -1, nil
		}
		if i += j; i == 0 || buf[i-1] != '\r' {
			return -1, ruleBareLF
		}
	}
}

var (
	crlf     = []byte("\r\n")
	crlfcrlf = []byte("\r\n\r\n")
)

// parseRequest parses the head at the beginning of buf into x.Request, whose memory becomes buf, and f.
// It returns the head's length; -1 when it has not all arrived. RFC 9112 §3, §5, §6.
func parseRequest(x *exchange.Exchange, f *framing, buf []byte, lim *fields.Limits) (int, error) {
	*f = framing{length: -1}
	r := &x.Request
	nl := bytes.IndexByte(buf, '\n')
	if nl < 0 {
		return -1, nil
	}
	if nl < 1 || buf[nl-1] != '\r' {
		return -1, ruleBareLF
	}
	if err := requestLine(r, buf[:nl-1], lim); err != nil {
		return -1, err
	}
	r.Header.Reset(buf)
	end, err := parseFields(&r.Header, f, buf, nl+1, lim)
	if err != nil || end < 0 {
		return -1, err
	}
	if err := requestHost(r, f); err != nil {
		return -1, err
	}
	f.strip(&r.Header)
	return end, requestFraming(r, f)
}

// requestLine parses "METHOD SP target SP HTTP/1.x". RFC 9112 §3.
func requestLine(r *exchange.Request, line []byte, lim *fields.Limits) error {
	sp := bytes.IndexByte(line, ' ')
	if sp < 1 {
		return ruleRequestLine
	}
	if !fields.Token(line[:sp]) {
		return fields.RuleMethod
	}
	rest := line[sp+1:]
	end := len(rest) - len(" HTTP/1.1")
	if end < 1 || string(rest[end:end+8]) != " HTTP/1." {
		if i := bytes.LastIndexByte(rest, ' '); i > 0 && bytes.HasPrefix(rest[i+1:], []byte("HTTP/")) {
			return ruleVersion
		}
		return ruleRequestLine
	}
	switch rest[end+8] {
	case '1':
		r.Proto = exchange.HTTP11
	case '0':
		r.Proto = exchange.HTTP10
	default:
		return ruleVersion
	}
	if end > lim.TargetBytes {
		return fields.RuleTargetLong
	}
	r.Method = exchange.Method(line[:sp])
	r.Target = rest[:end:end]
	return requestTarget(r)
}

// requestTarget splits the target by its form. RFC 9112 §3.2.
func requestTarget(r *exchange.Request) error {
	t := r.Target
	if rule := fields.CheckTarget(t); rule != nil {
		return rule
	}
	if r.Method == "CONNECT" {
		return fields.RuleConnect
	}
	switch {
	case t[0] == '/': // origin-form
	case len(t) == 1 && t[0] == '*' && r.Method == "OPTIONS": // asterisk-form
		r.Path = t
		return nil
	default: // absolute-form
		var ok bool
		if t, ok = absolute(r, t); !ok {
			return fields.RuleTarget
		}
	}
	if i := bytes.IndexByte(t, '?'); i >= 0 {
		r.Query, r.HasQuery = t[i+1:], true
		t = t[:i:i]
	}
	r.Path = t
	return nil
}

var slash = []byte("/")

// absolute takes the authority out of an absolute-form target and returns path and query. The
// authority replaces Host. RFC 9112 §3.2.2.
func absolute(r *exchange.Request, t []byte) ([]byte, bool) {
	i := bytes.Index(t, []byte("://"))
	if i < 0 || !exchange.EqualFold(t[:i], "http") && !exchange.EqualFold(t[:i], "https") {
		return nil, false
	}
	t = t[i+3:]
	end := bytes.IndexAny(t, "/?")
	if end < 0 {
		end = len(t)
	}
	r.Host = t[:end:end]
	if !fields.ValidHost(r.Host) {
		return nil, false
	}
	switch t = t[end:]; {
	case len(t) == 0:
		return slash, true
	case t[0] == '?':
		return r.Join(slash, t), true
	}
	return t, true
}

// requestHost settles the authority. RFC 9112 §3.2.
func requestHost(r *exchange.Request, f *framing) error {
	if f.hosts > 1 {
		return fields.RuleHostMany
	}
	if f.hosts == 0 {
		if r.Proto == exchange.HTTP11 {
			return fields.RuleHostMissing
		}
		return nil
	}
	if !fields.ValidHost(f.host) {
		return fields.RuleHostInvalid
	}
	if r.Host == nil {
		r.Host = f.host
	}
	return nil
}

// requestFraming decides how long the body is: one rule for every method. RFC 9112 §6.3.
func requestFraming(r *exchange.Request, f *framing) error {
	switch {
	case f.coded && f.length >= 0:
		return ruleTEAndLength
	case f.coded && r.Proto == exchange.HTTP10:
		return ruleTEOld
	case f.coded:
		r.Length = -1
	case f.length > 0:
		r.Length = f.length
	}
	r.Continue = f.expect && r.Proto == exchange.HTTP11 && r.Length != 0
	if f.upgrading && len(f.upgrade) > 0 && r.Proto == exchange.HTTP11 && !exchange.EqualFold(f.upgrade, "h2c") {
		if r.Upgrade = f.upgrade; r.Length != 0 && r.WebSocket() {
			return ruleUpgradeBody
		}
	}
	if f.unmet { // in all else it means one thing: the client is told
		return fields.RuleExpect
	}
	return nil
}
