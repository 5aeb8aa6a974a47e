package route

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func mustParseTCP(t testing.TB, rule string) *Rule {
	t.Helper()
	r, err := ParseTCP(rule)
	if err != nil {
		t.Fatalf("%s: %v", rule, err)
	}
	return r
}

func TestTCPRules(t *testing.T) {
	a := &Stream{ServerName: "a.x", Protocols: []string{"h2", "postgresql"}, Client: netip.MustParseAddr("192.0.2.7")}
	bare := &Stream{Client: netip.MustParseAddr("::ffff:192.0.2.7")}
	for _, c := range []struct {
		rule     string
		priority int
		a, bare  bool
	}{
		{"HostSNI(`*`)", -1, true, true},
		{"hostsni(\"*\")", -1, true, true},
		{"(HostSNI(`*`))", -1, true, true},
		{"!HostSNI(`*`)", 13, false, false},
		{"HostSNI(`*`) && ClientIP(`192.0.2.0/24`)", 40, true, true},
		{"HostSNI(`A.x`)", 14, true, false},
		{"HostSNI(`*.x`)", 14, true, false},
		{"HostSNI(`b.x`) || ALPN(`h2`)", 28, true, false},
		{"!HostSNI(`a.x`)", 15, false, true},
		{"HostSNIRegexp(`^.+\\.x$`)", 24, true, false},
		{"HostSNIRegexp(`^.*$`)", 21, true, true},
		{"ALPN(`http/1.1`)", 16, false, false},
		{"ClientIP(`192.0.2.7`) && !ALPN(`h2`)", 36, false, true},
	} {
		r := mustParseTCP(t, c.rule)
		if r.Priority() != c.priority || r.CatchAll() != (c.priority == -1) {
			t.Errorf("%s: priority %d, catch-all %v", c.rule, r.Priority(), r.CatchAll())
		}
		table := NewTable([]Entry{{Name: "r", Rule: r}})
		if got := table.MatchStream(a) != nil; got != c.a {
			t.Errorf("%s matches a.x: %v", c.rule, got)
		}
		if got := table.MatchStream(bare) != nil; got != c.bare {
			t.Errorf("%s matches a connection without TLS: %v", c.rule, got)
		}
	}
	for rule, want := range map[string]string{
		"Host(`a`)":               "rule, column 1: unknown matcher \"Host\"; there are ALPN, ClientIP, HostSNI, HostSNIRegexp",
		"HostSNI(`a.*`)":          "rule, column 9: HostSNI: \"a.*\" is no domain: a * can only be the whole first label; use a regular expression",
		"ALPN(`acme-tls/1`)":      "rule, column 6: ALPN: acme-tls/1 is for the challenges of certificate authorities, and not for routers",
		"PathPrefix(`/`)":         "rule, column 1: unknown matcher \"PathPrefix\"; there are ALPN, ClientIP, HostSNI, HostSNIRegexp",
		"HostSNI(`a`, `b`)":       "rule, column 1: HostSNI takes 1 argument, got 2: join several with ||, as in HostSNI(`a`) || HostSNI(`b`)",
		"HostSNIRegexp(`(`)":      "rule, column 15: HostSNIRegexp: not a regular expression of Go: missing closing ): `(`",
		"ClientIP(`192.0.2.0/x`)": "rule, column 10: ClientIP: \"192.0.2.0/x\" is neither an IP address nor a CIDR block such as 192.168.0.0/16",
	} {
		if _, err := ParseTCP(rule); err == nil || err.Error() != want {
			t.Errorf("%s: %v, not %s", rule, err, want)
		}
	}
}

func randomTCPRule(r *rand.Rand, depth int) string {
	if depth > 0 {
		switch r.IntN(5) {
		case 0, 1:
			return randomTCPRule(r, depth-1) + " && " + randomTCPRule(r, 0)
		case 2:
			return "(" + randomTCPRule(r, depth-1) + " || " + randomTCPRule(r, depth-1) + ")"
		case 3:
			return "!(" + randomTCPRule(r, depth-1) + ")"
		}
	}
	switch r.IntN(6) {
	case 0, 1:
		return fmt.Sprintf("HostSNI(`%s`)", pick(r, "x", "a.x", "b.x", "c.a.x", "*.x", "**.x", "*.a.x", "*", "A.X"))
	case 2:
		return fmt.Sprintf("HostSNIRegexp(`%s`)", pick(r, `^.+\.x$`, `a\.x$`, `^[a-c]\.`, `^$`, `.`, `x`, `(?i)A\.X$`, `^(a|b)\.x$`))
	case 3:
		return fmt.Sprintf("ALPN(`%s`)", pick(r, "h2", "http/1.1", "x"))
	}
	return fmt.Sprintf("ClientIP(`%s`)", pick(r, "192.0.2.1", "192.0.2.0/24", "::1", "2001:db8::/32", "::ffff:10.0.0.0/104"))
}

func linearStream(n *node, s *Stream) bool {
	switch n.op {
	case opNot:
		return !linearStream(n.kids[0], s)
	case opAnd:
		return !slices.ContainsFunc(n.kids, func(k *node) bool { return !linearStream(k, s) })
	case opOr:
		return slices.ContainsFunc(n.kids, func(k *node) bool { return linearStream(k, s) })
	}
	arg := n.args[0]
	switch n.name {
	case "HostSNI":
		return arg == "*" || linearHost(strings.ToLower(arg), s.ServerName)
	case "HostSNIRegexp":
		return regexp.MustCompile(arg).MatchString(s.ServerName)
	case "ALPN":
		return slices.Contains(s.Protocols, arg)
	}
	if ip := net.ParseIP(arg); ip != nil {
		return ip.Equal(net.ParseIP(s.Client.String()))
	}
	_, block, err := net.ParseCIDR(arg)
	if err != nil {
		panic(err)
	}
	return block.Contains(net.ParseIP(s.Client.String()))
}

// The index finds what a linear scan would, through updates.
func TestTCPTableAgreesWithLinearScan(t *testing.T) {
	r := rand.New(rand.NewPCG(*seed, 7))
	table, scan := NewTable(nil), &linear{}
	for range 300 {
		var remove []string
		var put []Entry
		for range r.IntN(3) {
			remove = append(remove, fmt.Sprint("r", r.IntN(40)))
		}
		for range r.IntN(4) {
			e := Entry{Name: fmt.Sprint("r", r.IntN(40)), Rule: mustParseTCP(t, randomTCPRule(r, 3)), Rank: r.IntN(3)}
			if r.IntN(3) == 0 {
				e.Priority = r.IntN(60) - 10
			}
			put = append(put, e)
		}
		table = table.Update(remove, put)
		scan.update(remove, put)
		for range 20 {
			s := &Stream{ServerName: pick(r, "", "x", "a.x", "b.x", "c.a.x", "d.c.a.x", "y"),
				Client: netip.MustParseAddr(pick(r, "192.0.2.1", "192.0.2.9", "::1", "2001:db8::5", "10.1.1.1"))}
			if r.IntN(2) == 0 {
				s.Protocols = []string{pick(r, "h2", "x"), "http/1.1"}
			}
			want := ""
			for _, e := range scan.entries {
				tree, err := parse(e.Rule.String(), tcpGrammar.matchers)
				if err != nil {
					t.Fatal(err)
				}
				if linearStream(tree, s) {
					want = e.Name
					break
				}
			}
			got := ""
			if e := table.MatchStream(s); e != nil {
				got = e.Name
			}
			if got != want {
				t.Fatalf("seed %d: %+v: index %q, linear %q", *seed, s, got, want)
			}
		}
	}
}
