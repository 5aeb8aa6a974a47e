package route

import (
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pergola-mesh/pergola/internal/urlpath"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// linear is what the index has to agree with: entries tried one after the other in order of priority,
// each rule evaluated as it was written, by the standard library alone.
type linear struct{ entries []Entry }

func (l *linear) update(remove []string, put []Entry) {
	gone := slices.Clone(remove)
	for _, e := range put {
		gone = append(gone, e.Name)
	}
	l.entries = slices.DeleteFunc(slices.Clone(l.entries), func(e Entry) bool { return slices.Contains(gone, e.Name) })
	for i, e := range put {
		if !slices.ContainsFunc(put[i+1:], func(later Entry) bool { return later.Name == e.Name }) {
			l.entries = append(l.entries, e)
		}
	}
	slices.SortFunc(l.entries, func(a, b Entry) int {
		if d := linearPriority(b) - linearPriority(a); d != 0 {
			return d
		}
		if a.Rank != b.Rank {
			return a.Rank - b.Rank
		}
		return strings.Compare(a.Name, b.Name)
	})
}

func linearPriority(e Entry) int {
	if e.Priority != 0 {
		return e.Priority
	}
	return e.Rule.Priority()
}

func (l *linear) match(x *exchange.Exchange) string {
	for _, e := range l.entries {
		tree, err := parse(e.Rule.String(), httpGrammar.matchers)
		if err != nil {
			panic(err)
		}
		if linearMatch(tree, x) {
			return e.Name
		}
	}
	return ""
}

func linearMatch(n *node, x *exchange.Exchange) bool {
	switch n.op {
	case opNot:
		return !linearMatch(n.kids[0], x)
	case opAnd:
		return !slices.ContainsFunc(n.kids, func(k *node) bool { return !linearMatch(k, x) })
	case opOr:
		return slices.ContainsFunc(n.kids, func(k *node) bool { return linearMatch(k, x) })
	}
	last := n.args[len(n.args)-1]
	switch n.name {
	case "ClientIP":
		if ip := net.ParseIP(last); ip != nil {
			return ip.Equal(net.ParseIP(x.Client.String()))
		}
		_, block, err := net.ParseCIDR(last)
		if err != nil {
			panic(err)
		}
		return block.Contains(net.ParseIP(x.Client.String()))
	case "Method":
		return x.Request.Method == strings.ToUpper(last)
	case "Host":
		return linearHost(strings.Trim(strings.TrimSuffix(strings.ToLower(last), "."), "[]"), strings.TrimSuffix(linearHostname(x), "."))
	case "HostRegexp":
		return regexp.MustCompile(last).MatchString(linearHostname(x))
	case "Path":
		return string(x.Request.Path) == string(urlpath.Literal(last))
	case "PathPrefix":
		return strings.HasPrefix(string(x.Request.Path), string(urlpath.Literal(last)))
	case "PathRegexp":
		return regexp.MustCompile(last).MatchString(linearPath(string(x.Request.Path)))
	}
	test := func(value string) bool { return value == last }
	if len(n.args) == 1 {
		test = func(value string) bool { return value == "" }
	} else if strings.HasSuffix(n.name, "Regexp") {
		test = regexp.MustCompile(last).MatchString
	}
	if strings.HasPrefix(n.name, "Header") {
		for name, value := range x.Request.Header.All() {
			if strings.EqualFold(string(name), n.args[0]) && test(string(value)) {
				return true
			}
		}
		return false
	}
	values, _ := url.ParseQuery(string(x.Request.Query))
	return slices.ContainsFunc(values[n.args[0]], test)
}

func linearHostname(x *exchange.Exchange) string {
	host := strings.ToLower(string(x.Request.Host))
	if h, _, err := net.SplitHostPort(host); err == nil {
		return h
	}
	return strings.Trim(host, "[]")
}

func linearHost(expression, host string) bool {
	if host == "" {
		return false
	}
	if suffix, ok := strings.CutPrefix(expression, "**"); ok {
		return len(host) > len(suffix) && strings.HasSuffix(host, suffix)
	}
	if strings.HasPrefix(expression, "*") {
		labels := strings.Split(host, ".")
		labels[0] = "*"
		host = strings.Join(labels, ".")
	}
	return host == expression
}

var escapes = regexp.MustCompile("%[0-9A-F]{2}")

// linearPath decodes what is not reserved.
func linearPath(path string) string {
	return escapes.ReplaceAllStringFunc(path, func(escape string) string {
		c, err := strconv.ParseUint(escape[1:], 16, 8)
		if err != nil || strings.ContainsRune(":/?#[]@!$&'()*+,;=%", rune(c)) {
			return escape
		}
		return string([]byte{byte(c)})
	})
}
