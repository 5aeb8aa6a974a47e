package acme

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/idna"

	"github.com/pergola-mesh/pergola/identity"
)

// normalName brings a name into the form it has in certificates, or tells why no certificate can have it.
func normalName(name string) (string, error) {
	name = strings.TrimSuffix(strings.ToLower(strings.TrimSpace(name)), ".")
	if ip, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return ip.Unmap().WithZone("").String(), nil
	}
	rest, wildcard := strings.CutPrefix(name, "*.")
	ascii, err := idna.Lookup.ToASCII(rest)
	switch {
	case rest == "" || strings.Contains(rest, "..") || strings.HasPrefix(rest, "."):
		return "", fmt.Errorf("%q is no host name", name)
	case strings.Contains(rest, "*"):
		return "", fmt.Errorf("%q: a certificate's wildcard is one label at the start, as in *.example.com", name)
	case err != nil:
		return "", fmt.Errorf("%q is no host name: %w", name, err)
	case wildcard && !strings.Contains(ascii, "."):
		return "", fmt.Errorf("%q: no authority gives a wildcard for a whole top-level domain", name)
	case wildcard:
		return "*." + ascii, nil
	}
	return ascii, nil
}

func isWildcard(name string) bool { return strings.HasPrefix(name, "*.") }

// covers says whether a certificate with one of the names is good for name.
func covers(names []string, name string) bool {
	return slices.Contains(names, name) || slices.Contains(names, identity.Wildcard(name))
}

// normalWants puts wants in order: each name in its normal form and once in a set, sets with wildcards
// first, since those may make others needless, then by name. What cannot be had is left out and told of.
func normalWants(wants []identity.Wanted, wildcards bool) (sets [][]string, problems []error) {
	seen := map[string]bool{}
	for _, w := range wants {
		var names []string
		for _, name := range w.Domains {
			normal, err := normalName(name)
			if err == nil && isWildcard(normal) && !wildcards {
				err = fmt.Errorf("%s: a wildcard can be proven by dnsChallenge alone, which the resolver does not have", normal)
			}
			if err != nil {
				problems = append(problems, fmt.Errorf("%s: %w", by(w), err))
			} else if !slices.Contains(names, normal) {
				names = append(names, normal)
			}
		}
		if id := strings.Join(names, ","); len(names) > 0 && !seen[id] {
			seen[id] = true
			sets = append(sets, names)
		}
	}
	slices.SortFunc(sets, func(a, b []string) int {
		if x, y := slices.ContainsFunc(a, isWildcard), slices.ContainsFunc(b, isWildcard); x != y {
			if x {
				return -1
			}
			return 1
		}
		return slices.Compare(a, b)
	})
	return sets, problems
}

// by tells people who wants a certificate.
func by(w identity.Wanted) string {
	if w.Router == "" {
		return "the default certificate"
	}
	return "router " + w.Router
}
