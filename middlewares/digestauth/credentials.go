package digestauth

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"strconv"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// credentials are the parameters of an Authorization field. RFC 7616 §3.4.
type credentials struct {
	username, realm, nonce, uri, response, qop, nc, cnonce, algorithm string
	count                                                             uint32 // nc as a number
}

// parseCredentials reads the one Authorization field; false when there is none, more than one, one of
// another scheme, or one that lacks something.
func parseCredentials(h *exchange.Header) (c credentials, ok bool) {
	var value []byte
	for v := range h.Values(exchange.Authorization) {
		if value != nil {
			return c, false
		}
		value = v
	}
	const scheme = "Digest "
	if len(value) < len(scheme) || !exchange.EqualFold(value[:len(scheme)], scheme) {
		return c, false
	}
	for item := range exchange.List(value[len(scheme):]) {
		name, text, ok := bytes.Cut(item, []byte("="))
		if !ok {
			return c, false
		}
		if p := c.parameter(bytes.TrimRight(name, " \t")); p != nil {
			if *p != "" {
				return c, false // twice
			}
			*p = unquote(bytes.TrimLeft(text, " \t"))
		}
	}
	if c.algorithm != "" && !exchange.EqualFold(c.algorithm, "MD5") || c.qop != "auth" || c.cnonce == "" || len(c.nc) != 8 {
		return c, false
	}
	count, err := strconv.ParseUint(c.nc, 16, 32)
	c.count = uint32(count)
	return c, err == nil && c.username != "" && c.response != ""
}

func (c *credentials) parameter(name []byte) *string {
	for _, p := range []struct {
		name string
		to   *string
	}{
		{"username", &c.username}, {"realm", &c.realm}, {"nonce", &c.nonce}, {"uri", &c.uri}, {"response", &c.response},
		{"qop", &c.qop}, {"nc", &c.nc}, {"cnonce", &c.cnonce}, {"algorithm", &c.algorithm},
	} {
		if exchange.EqualFold(name, p.name) {
			return p.to
		}
	}
	return nil
}

// unquote reads a token or a quoted string. RFC 9110 §5.6.4.
func unquote(text []byte) string {
	if len(text) < 2 || text[0] != '"' || text[len(text)-1] != '"' {
		return string(text)
	}
	out := make([]byte, 0, len(text))
	for i := 1; i < len(text)-1; i++ {
		if text[i] == '\\' && i+1 < len(text)-1 {
			i++
		}
		out = append(out, text[i])
	}
	return string(out)
}

// expected is the response that somebody who knows the password gives. RFC 7616 §3.4.1.
func (c *credentials) expected(hash, method string) string {
	return sum(hash, c.nonce, c.nc, c.cnonce, c.qop, sum(method, c.uri))
}

func sum(parts ...string) string {
	var text []byte
	for i, p := range parts {
		if i > 0 {
			text = append(text, ':')
		}
		text = append(text, p...)
	}
	digest := md5.Sum(text)
	return hex.EncodeToString(digest[:])
}
