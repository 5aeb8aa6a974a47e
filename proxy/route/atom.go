package route

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// kind is what a matcher looks at, and how.
type kind uint8

const (
	noKind kind = iota
	hostExact
	hostLabel  // *.x: one label before the suffix
	hostDeep   // **.x: one label or more before the suffix
	hostSuffix // anything before the suffix; only as a hint
	hostRegexp
	pathExact
	pathPrefix
	pathRegexp
	headerExact
	headerRegexp
	queryExact
	queryRegexp
	methodExact
	clientIP
	alpn      // one of the protocols that a client of TLS offers
	anything  // what everything is
	neverTrue // what no request can be
)

// key is what an atom asks for in a form that compares and that an index can hold.
type key struct {
	kind kind
	// name is the field name in lower case, or the name of the query parameter.
	name string
	// text is a host or suffix in lower case without its last dot, a path in normal form, or a value.
	text string
}

// atom is a matcher with its arguments. It is immutable.
type atom struct {
	key
	// hint is a weaker demand that an index can hold: the literal beginning of a path regexp or the
	// literal end of a host regexp. Zero when there is none.
	hint  key
	field exchange.Name // of headerExact and headerRegexp
	re    *regexp.Regexp
	ips   netip.Prefix
}

// match reports whether the request in v is what the atom asks for.
func (a *atom) match(v *view) bool {
	switch a.kind {
	case hostExact, hostLabel, hostDeep:
		return matchHost(a.kind, a.text, v.host)
	case hostRegexp:
		return a.re.Match(v.fullHost)
	case pathExact:
		return string(v.path) == a.text
	case pathPrefix:
		return len(v.path) >= len(a.text) && string(v.path[:len(a.text)]) == a.text
	case pathRegexp:
		return a.re.Match(v.decodedPath())
	case headerExact:
		return v.header(a.field, func(value []byte) bool { return string(value) == a.text })
	case headerRegexp:
		return v.header(a.field, a.re.Match)
	case queryExact:
		return v.query(a.name, func(value []byte) bool { return string(value) == a.text })
	case queryRegexp:
		return v.query(a.name, a.re.Match)
	case methodExact:
		return v.x.Request.Method == a.text
	case clientIP:
		return a.ips.Contains(v.client())
	case alpn:
		return slices.Contains(v.stream.Protocols, a.text)
	case anything:
		return true
	}
	return false
}

// decide tells whether an atom is true, given that another's key is: the second result is false when
// that cannot be told.
func (a *atom) decide(given key) (value, known bool) {
	if a.key == given {
		return true, true
	}
	switch given.kind {
	case hostExact:
		switch a.kind {
		case hostExact, hostLabel, hostDeep:
			return matchHost(a.kind, a.text, given.text), true
		}
	case hostLabel, hostDeep, hostSuffix:
		if a.kind == hostExact && !matchHost(given.kind, given.text, a.text) {
			return false, true
		}
	case pathExact:
		switch a.kind {
		case pathExact:
			return a.text == given.text, true
		case pathPrefix:
			return strings.HasPrefix(given.text, a.text), true
		}
	case pathPrefix:
		switch {
		case a.kind == pathPrefix && strings.HasPrefix(given.text, a.text):
			return true, true
		case (a.kind == pathPrefix || a.kind == pathExact) && !compatible(given.text, a):
			return false, true
		}
	}
	return false, false
}

// compatible reports whether a path that begins with prefix can be what a asks for.
func compatible(prefix string, a *atom) bool {
	return strings.HasPrefix(a.text, prefix) || a.kind == pathPrefix && strings.HasPrefix(prefix, a.text)
}

// matchHost compares a host in lower case, without its last dot, with a host expression.
func matchHost[T string | []byte](k kind, text string, host T) bool {
	n := len(host) - len(text)
	if n < 0 || len(host) == 0 {
		return false
	}
	switch k {
	case hostExact:
		return n == 0 && string(host) == text
	case hostLabel:
		for i := range n {
			if host[i] == '.' {
				return false
			}
		}
	case hostDeep:
		if n == 0 {
			return false
		}
	}
	return string(host[n:]) == text
}
