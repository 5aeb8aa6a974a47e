package route

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"

	"github.com/pergola-mesh/pergola/internal/urlpath"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// maxRegexp bounds a regular expression, in bytes.
const maxRegexp = 8 << 10

// errFieldName is about the first argument of Header and HeaderRegexp.
var errFieldName = errors.New("no field can have this name")

// httpGrammar is that of HTTP rules.
var httpGrammar = grammar{
	matchers: []signature{
		{"ClientIP", 1, 1},
		{"Method", 1, 1},
		{"Host", 1, 1},
		{"HostRegexp", 1, 1},
		{"Path", 1, 1},
		{"PathRegexp", 1, 1},
		{"PathPrefix", 1, 1},
		{"Header", 2, 2},
		{"HeaderRegexp", 2, 2},
		{"Query", 1, 2},
		{"QueryRegexp", 1, 2},
	},
	atom: httpAtom,
}

// httpAtom is the grammar's atom. An error is about the last argument, but for errFieldName.
func httpAtom(name string, args []string) (a *atom, warning string, err error) {
	a = &atom{}
	last := args[len(args)-1]
	switch name {
	case "ClientIP":
		a.kind, a.text = clientIP, last
		a.ips, err = parseAddresses(last)
	case "Method":
		a.kind, a.text = methodExact, strings.ToUpper(last)
	case "Host":
		a.key, warning, err = parseHost(last)
	case "HostRegexp":
		if err = checkASCII(last); err == nil {
			a.kind, a.text, a.hint = hostRegexp, last, hostHint(last)
			warning = namedBraces(last)
			a.re, err = compileRegexp(last)
		}
	case "Path", "PathPrefix":
		a.kind = pathExact
		if name == "PathPrefix" {
			a.kind = pathPrefix
		}
		a.text, warning, err = parsePath(last)
	case "PathRegexp":
		a.kind, a.text, a.hint, warning = pathRegexp, last, pathHint(last), namedBraces(last)
		a.re, err = compileRegexp(last)
	case "Header", "HeaderRegexp":
		a.kind, a.text, a.field = headerExact, last, exchange.NewName(args[0])
		a.name = strings.ToLower(args[0])
		if !isToken(args[0]) {
			return nil, "", errFieldName
		}
		if name == "HeaderRegexp" {
			a.kind = headerRegexp
			a.re, err = compileRegexp(last)
		}
		if a.name == "host" {
			warning = "the Host field is matched by Host and HostRegexp only: " + name + " never sees it"
		}
	case "Query", "QueryRegexp":
		a.kind, a.name = queryExact, args[0]
		if len(args) == 2 {
			a.text = last
			if name == "QueryRegexp" {
				a.kind = queryRegexp
				a.re, err = compileRegexp(last)
			}
		}
	}
	return a, warning, err
}

// isToken reports whether a field can have this name. RFC 9110 §5.6.2.
func isToken(s string) bool {
	for i := range len(s) {
		if !isLetter(s[i]) && strings.IndexByte("!#$%&'*+-.^`|~", s[i]) < 0 {
			return false
		}
	}
	return true
}

// braced is a name in braces as rules of Traefik v2 had it, and what Go's syntax has braces behind.
var braced = regexp.MustCompile(`(\\.)?\{[A-Za-z_]\w*[:}]`)

// namedBraces warns of a named pattern of Traefik v2, such as {sub:[a-z]+}, which is a regular expression
// of Go's too, for other text.
func namedBraces(text string) (warning string) {
	for _, found := range braced.FindAllString(text, -1) {
		if found[0] == '{' {
			return found + " stands for itself in a regular expression: write the pattern alone, without braces and name"
		}
	}
	return ""
}

func compileRegexp(text string) (*regexp.Regexp, error) {
	if len(text) > maxRegexp {
		return nil, fmt.Errorf("the regular expression is longer than %d bytes", maxRegexp)
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, fmt.Errorf("not a regular expression of Go: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return re, nil
}

// parseAddresses reads an IP address or a CIDR block.
func parseAddresses(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	block, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is neither an IP address nor a CIDR block such as 192.168.0.0/16", text)
	}
	if addr := block.Addr(); addr.Is4In6() && block.Bits() >= 96 {
		block = netip.PrefixFrom(addr.Unmap(), block.Bits()-96)
	}
	return block.Masked(), nil
}

func checkASCII(text string) error {
	for i := range len(text) {
		if text[i] >= 0x80 {
			return fmt.Errorf("%q is not ASCII: write it in punycode (xn--…)", text)
		}
	}
	return nil
}

// parseHost reads a host or a wildcard.
func parseHost(text string) (k key, warning string, err error) {
	if err := checkASCII(text); err != nil {
		return key{}, "", err
	}
	host := strings.TrimSuffix(strings.ToLower(text), ".")
	switch {
	case host == "*":
		return key{kind: hostLabel}, "", nil
	case strings.HasPrefix(host, "**."):
		k = key{kind: hostDeep, text: host[2:]}
	case strings.HasPrefix(host, "*."):
		k = key{kind: hostLabel, text: host[1:]}
	default:
		k = key{kind: hostExact, text: host}
	}
	name := k.text
	if k.kind != hostExact {
		name = name[1:]
	}
	if bare, ok := unbracket(name); ok && k.kind == hostExact {
		name, k.text = bare, bare
	}
	if isAddress(name) {
		return k, "", nil
	}
	if i := strings.LastIndexByte(name, ':'); i > 0 && isDigits(name[i+1:]) {
		if _, ok := unbracket(name[:i]); ok || checkDomain(name[:i], text) == nil {
			return key{kind: neverTrue, text: host}, "hosts are compared without their port: this never matches, remove " + name[i:], nil
		}
	}
	return k, "", checkDomain(name, text)
}

// unbracket takes the brackets off an IPv6 address.
func unbracket(host string) (string, bool) {
	bare, ok1 := strings.CutPrefix(host, "[")
	bare, ok2 := strings.CutSuffix(bare, "]")
	return bare, ok1 && ok2 && isAddress(bare)
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// checkDomain checks the labels of a domain. RFC 1123 §2.1; underscores are common.
func checkDomain(domain, text string) error {
	if len(domain) > 253 {
		return fmt.Errorf("%q is longer than the 253 bytes of a domain", text)
	}
	for label := range strings.SplitSeq(domain, ".") {
		if label == "" || len(label) > 63 {
			return fmt.Errorf("%q is no domain: a label has 1 to 63 characters", text)
		}
		for i := range len(label) {
			if c := label[i]; !isLetter(c) && c != '-' {
				if c == '*' {
					return fmt.Errorf("%q is no domain: a * can only be the whole first label; use a regular expression", text)
				}
				return fmt.Errorf("%q is no domain: it must not hold %q", text, c)
			}
		}
	}
	return nil
}

// parsePath puts a path or a prefix into the normal form of request paths.
func parsePath(text string) (path, warning string, err error) {
	if text[0] != '/' {
		return "", "", fmt.Errorf("the path %q does not begin with /", text)
	}
	switch {
	case strings.ContainsRune(text, '?'):
		warning = "a path has no query: the ? stands for an encoded one; use Query for parameters"
	case strings.ContainsRune(text, '#'):
		warning = "a path has no fragment: the # stands for an encoded one"
	case strings.ContainsAny(text, "{}"):
		warning = "braces stand for themselves in a path: use PathRegexp for a pattern"
	}
	return string(urlpath.Literal(text)), warning, nil
}
