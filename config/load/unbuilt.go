package load

import (
	"strings"

	"github.com/pergola-mesh/pergola/config/dynamic"
)

// Unbuilt is a key that Pergola knows but cannot honour in this build: using it is an error that
// says so.
type Unbuilt struct {
	// Key is a dotted path; "*" stands for any one name.
	Key string
	// Feature is what the key would need, as it reads after "this build does not have".
	Feature string
}

// unbuiltDynamic is what is missing from the dynamic configuration. A row goes when its feature comes.
var unbuiltDynamic = []Unbuilt{
	{"http.routers.*.tls", "TLS termination"},
	{"http.routers.*.parentRefs", "nested routers"},
	{"http.serversTransports.*.spiffe", "SPIFFE identities"},
	{"tcp.routers.*", "TCP routing"},
	{"tcp.services.*", "TCP routing"},
	{"tcp.middlewares.*", "TCP routing"},
	{"tcp.serversTransports.*", "TCP routing"},
	{"udp.routers.*", "UDP routing"},
	{"udp.services.*", "UDP routing"},
	{"tls.certificates.*", "TLS termination"},
	{"tls.options.*", "TLS termination"},
	{"tls.stores.*", "TLS termination"},
}

// FindUnbuilt reports every key in t that a row forbids. base is the path of t itself, with or
// without names in it; Keys in the problems are relative to t.
func FindUnbuilt(rows []Unbuilt, t *Tree, base ...string) []dynamic.Problem {
	var found []dynamic.Problem
	for _, row := range rows {
		pattern := strings.Split(row.Key, ".")
		if !hasPrefix(pattern, base) {
			continue
		}
		walk(t, pattern[len(base):], "", func(hit *Tree, key string) {
			found = append(found, dynamic.Problem{
				Source: hit.Source, Line: hit.Line, Key: key,
				Message: "this build does not have " + row.Feature + " yet; remove it",
			})
		})
	}
	return found
}

func hasPrefix(pattern, base []string) bool {
	if len(pattern) < len(base) {
		return false
	}
	for i, name := range base {
		if pattern[i] != "*" && !strings.EqualFold(pattern[i], name) {
			return false
		}
	}
	return true
}

// walk calls found for every node that pattern leads to and that is not off.
func walk(t *Tree, pattern []string, key string, found func(*Tree, string)) {
	switch {
	case t.Kind == Null || t.Kind == Scalar && strings.EqualFold(t.Text(), "false"):
	case len(pattern) == 0:
		found(t, key)
	default:
		for _, c := range t.Children {
			if pattern[0] == "*" || strings.EqualFold(c.Name, pattern[0]) {
				walk(c, pattern[1:], join(key, c.Name), found)
			}
		}
	}
}
