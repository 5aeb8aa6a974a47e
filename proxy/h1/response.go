package h1

import (
	"bytes"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// parseResponse parses the complete head buf into r, whose header's memory becomes buf, and f.
// RFC 9112 §4, §5.
func parseResponse(r *exchange.Response, f *framing, buf []byte) error {
	*f = framing{length: -1}
	nl := bytes.IndexByte(buf, '\n')
	if nl < 1 || buf[nl-1] != '\r' {
		return ruleBareLF
	}
	// HTTP/1.1 200 reason
	line := buf[:nl-1]
	if len(line) < 12 || string(line[:7]) != "HTTP/1." || line[8] != ' ' ||
		len(line) > 12 && line[12] != ' ' || !validSlow(line[12:]) {
		return ruleStatusLine
	}
	switch line[7] {
	case '1':
		r.Proto = exchange.HTTP11
	case '0':
		r.Proto = exchange.HTTP10
	default:
		return ruleStatusLine
	}
	r.Status = 0
	for _, c := range line[9:12] {
		if c < '0' || c > '9' {
			return ruleStatusLine
		}
		r.Status = r.Status*10 + int(c-'0')
	}
	if r.Status < 100 {
		return ruleStatusLine
	}
	r.Header.Reset(buf)
	if err := parseFields(&r.Header, f, buf, nl+1, len(buf)-2, &responseLimits); err != nil {
		return err
	}
	f.strip(&r.Header)
	if f.coded && (f.length >= 0 || r.Proto == exchange.HTTP10) {
		return ruleTEAndLength
	}
	return nil
}

var responseLimits = Limits{HeaderBytes: 64 << 10, Fields: 200, Underscore: AllowUnderscore}

// bodiless reports whether an answer of this status to this method never has a body. RFC 9112 §6.3.
func bodiless(method string, status int) bool {
	return method == "HEAD" || status < 200 || status == 204 || status == 304
}
