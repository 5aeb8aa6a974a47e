package accesslog

import (
	"bytes"
	"fmt"
	"net/url"

	"github.com/pergola-mesh/pergola/config/static"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// mode is what becomes of a header or query parameter.
type mode uint8

const (
	keepMode mode = iota
	dropMode
	redactMode
)

const redacted = "REDACTED"

func parseMode(key, text string, otherwise mode) (mode, error) {
	switch text {
	case "":
		return otherwise, nil
	case "keep":
		return keepMode, nil
	case "drop":
		return dropMode, nil
	case "redact":
		return redactMode, nil
	}
	return 0, fmt.Errorf("%s: %q is not a mode: use keep, drop or redact", key, text)
}

// queryModes says what becomes of each query parameter.
type queryModes struct {
	otherwise mode
	names     map[string]mode
}

func newQueryModes(c static.FieldModes) (queryModes, error) {
	q := queryModes{names: map[string]mode{}}
	var err error
	if q.otherwise, err = parseMode("fields.queryParameters.defaultMode", c.DefaultMode, keepMode); err != nil {
		return q, err
	}
	for name, text := range c.Names {
		if q.names[name], err = parseMode("fields.queryParameters.names."+name, text, q.otherwise); err != nil {
			return q, err
		}
	}
	return q, nil
}

// appendPath appends the path and query that were asked for, as they were received, escaped.
func (q *queryModes) appendPath(b []byte, r *exchange.Request, escape func([]byte, []byte) []byte) []byte {
	target := origin(r.Target)
	if q.otherwise == keepMode && len(q.names) == 0 {
		return escape(b, target)
	}
	path, query, found := bytes.Cut(target, []byte{'?'})
	b = escape(b, path)
	if !found {
		return b
	}
	separator := byte('?')
	for len(query) > 0 {
		var parameter []byte
		parameter, query, _ = bytes.Cut(query, []byte{'&'})
		name, _, valued := bytes.Cut(parameter, []byte{'='})
		switch q.of(name) {
		case keepMode:
			b = escape(append(b, separator), parameter)
		case redactMode:
			b = escape(append(b, separator), name)
			if valued {
				b = append(b, "="+redacted...)
			}
		default:
			continue
		}
		separator = '&'
	}
	return b
}

// of is the mode of a parameter. A name is known in any encoding.
func (q *queryModes) of(name []byte) mode {
	if bytes.ContainsAny(name, "%+") {
		if plain, err := url.QueryUnescape(string(name)); err == nil {
			name = []byte(plain)
		}
	}
	if m, ok := q.names[string(name)]; ok {
		return m
	}
	return q.otherwise
}

// origin is a request target without scheme and authority, which may carry a password.
func origin(target []byte) []byte {
	if len(target) == 0 || target[0] == '/' {
		return target
	}
	i := bytes.Index(target, []byte("://"))
	if i < 0 {
		return target
	}
	rest := target[i+3:]
	if j := bytes.IndexAny(rest, "/?"); j >= 0 {
		return rest[j:]
	}
	return nil
}
