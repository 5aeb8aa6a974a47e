package h1

import (
	"bytes"

	"github.com/pergola-mesh/pergola/proxy/fields"
)

// strange reports whether nothing in the first line of buf is HTTP's: it neither begins with one of its
// methods nor names a version of it. What "appears from the start-line to be an HTTP request
// message" is owed a 400 when it is none (RFC 9112 §2.2); this does not appear to be one.
func strange(buf []byte) bool {
	line, _, ended := bytes.Cut(buf, crlf)
	if !ended {
		return false
	}
	first, _, _ := bytes.Cut(line, space)
	switch string(first) {
	case "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH":
		return false
	}
	return !bytes.Contains(bytes.ToUpper(line), version)
}

var (
	space   = []byte(" ")
	version = []byte("HTTP/")
)

// turnAway ends a connection that speaks something else without an answer: one of HTTP/1.1 would be as
// strange to the client as its message is to us. RFC 9113 §3.4.
func (c *conn1) turnAway(err error) {
	if rule, ok := err.(*fields.Rule); ok && c.srv.Refused != nil {
		c.srv.Refused(rule.Name)
	}
	c.srv.Logger.Debug("connection refused: it does not begin with a request", "client", c.info.PeerText, "error", err)
	c.part(lingers)
}
