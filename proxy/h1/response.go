package h1

import (
	"bytes"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/fields"
)

// parseResponse parses the head at the beginning of buf into r, whose header's memory becomes buf, and f.
// It returns the head's length; -1 when it has not all arrived. RFC 9112 §4, §5.
func parseResponse(r *exchange.Response, f *framing, buf []byte) (int, error) {
	*f = framing{length: -1}
	nl := bytes.IndexByte(buf, '\n')
	if nl < 0 {
		return -1, nil
	}
	if nl < 1 || buf[nl-1] != '\r' {
		return -1, ruleBareLF
	}
	// HTTP/1.1 200 reason
	line := buf[:nl-1]
	if len(line) < 12 || string(line[:7]) != "HTTP/1." || line[8] != ' ' ||
		len(line) > 12 && line[12] != ' ' || !fields.Plain(line[12:]) {
		return -1, ruleStatusLine
	}
	switch line[7] {
	case '1':
		r.Proto = exchange.HTTP11
	case '0':
		r.Proto = exchange.HTTP10
	default:
		return -1, ruleStatusLine
	}
	r.Status = 0
	for _, c := range line[9:12] {
		if c < '0' || c > '9' {
			return -1, ruleStatusLine
		}
		r.Status = r.Status*10 + int(c-'0')
	}
	if r.Status < 100 {
		return -1, ruleStatusLine
	}
	r.Header.Reset(buf)
	end, err := parseFields(&r.Header, f, buf, nl+1, &fields.ResponseLimits)
	if err != nil || end < 0 {
		return -1, err
	}
	f.strip(&r.Header)
	if f.coded && f.length >= 0 {
		return -1, ruleTEAndLength
	}
	if f.coded && r.Proto == exchange.HTTP10 {
		return -1, ruleTEOld
	}
	return end, nil
}
