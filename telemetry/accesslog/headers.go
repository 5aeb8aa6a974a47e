package accesslog

import (
	"maps"
	"net/textproto"
	"slices"
	"strings"

	"github.com/pergola-mesh/pergola/config/static"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// secrets are the headers that are redacted rather than kept, unless the configuration names them.
var secrets = []string{"Authorization", "Cookie", "Proxy-Authorization", "Set-Cookie"}

// headerModes says what becomes of each header of a message.
type headerModes struct {
	prefix    string // of fields: "request_" or "downstream_"
	otherwise mode
	named     []namedHeader
	names     map[string]mode // by name in lower case; what named and secrets say
}

// namedHeader is a header with a mode of its own, never dropMode.
type namedHeader struct {
	name exchange.Name
	key  string // `"request_User-Agent":"`
	mode mode
}

// newHeaderModes returns the modes for requests and for responses.
func newHeaderModes(c static.FieldModes) (request, response headerModes, err error) {
	otherwise, err := parseMode("fields.headers.defaultMode", c.DefaultMode, dropMode)
	if err != nil {
		return
	}
	names := map[string]mode{}
	if otherwise == keepMode {
		for _, name := range secrets {
			names[strings.ToLower(name)] = redactMode
		}
	}
	request = headerModes{prefix: "request_", otherwise: otherwise, names: names}
	response = headerModes{prefix: "downstream_", otherwise: otherwise, names: names}
	for _, name := range slices.Sorted(maps.Keys(c.Names)) {
		m, err := parseMode("fields.headers.names."+name, c.Names[name], otherwise)
		if err != nil {
			return request, response, err
		}
		names[strings.ToLower(name)] = m
		if m == dropMode {
			continue
		}
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		for _, modes := range []*headerModes{&request, &response} {
			key := string(appendJSON([]byte(`"`+modes.prefix), canonical)) + `":"`
			modes.named = append(modes.named, namedHeader{exchange.NewName(canonical), key, m})
		}
	}
	return
}

// append appends the members for a message's headers, each followed by a comma.
func (m *headerModes) append(b []byte, h *exchange.Header) []byte {
	if m.otherwise != dropMode {
		return m.appendAll(b, h)
	}
	for i := range m.named {
		n := &m.named[i]
		if !h.Has(n.name) {
			continue
		}
		b = append(b, n.key...)
		if n.mode == redactMode {
			b = append(b, redacted...)
		} else {
			b = appendValues(b, h, n.name, appendJSON[[]byte])
		}
		b = append(b, '"', ',')
	}
	return b
}

// appendValues appends the values of all fields called n, joined by commas.
func appendValues(b []byte, h *exchange.Header, n exchange.Name, escape func([]byte, []byte) []byte) []byte {
	first := true
	for v := range h.Values(n) {
		if !first {
			b = append(b, ',')
		}
		b, first = escape(b, v), false
	}
	return b
}

// appendAll appends a member for every header there is that is not to be dropped.
func (m *headerModes) appendAll(b []byte, h *exchange.Header) []byte {
	i := -1
	for name := range h.All() {
		i++
		mode := m.of(name)
		if mode == dropMode {
			continue
		}
		start := len(b)
		b = append(append(b, '"'), m.prefix...)
		b = append(appendCanonical(b, name), '"', ':', '"')
		if mode == redactMode {
			b = append(b, redacted...)
		}
		j := -1
		for other, value := range h.All() {
			if j++; !exchange.EqualFold(other, name) {
				continue
			}
			if j < i { // it was a part of that one's member
				b = b[:start]
				break
			}
			if mode == redactMode {
				continue
			}
			if j > i {
				b = append(b, ',')
			}
			b = appendJSON(b, value)
		}
		if len(b) > start {
			b = append(b, '"', ',')
		}
	}
	return b
}

// of is the mode of a header.
func (m *headerModes) of(name []byte) mode {
	var space [64]byte
	lower := space[:0]
	for _, c := range name {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		lower = append(lower, c)
	}
	if mode, ok := m.names[string(lower)]; ok {
		return mode
	}
	return m.otherwise
}

// appendCanonical appends a field name as Go spells it: User-Agent.
func appendCanonical(b, name []byte) []byte {
	upper := true
	for _, c := range name {
		if !plainByte[c] { // no codec lets such a name in
			b = appendEscaped(b, c)
			continue
		}
		switch {
		case upper && c >= 'a' && c <= 'z':
			c &^= 0x20
		case !upper && c >= 'A' && c <= 'Z':
			c |= 0x20
		}
		b = append(b, c)
		upper = c == '-'
	}
	return b
}
