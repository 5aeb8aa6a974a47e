package acme

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/pergola-mesh/pergola/identity"
)

func TestNormalName(t *testing.T) {
	for name, want := range map[string]string{
		"A.Example.": "a.example", "*.Example.com": "*.example.com", "bücher.example": "xn--bcher-kva.example",
		"192.0.2.1": "192.0.2.1", "[2001:DB8::1]": "2001:db8::1", "::ffff:192.0.2.1": "192.0.2.1", "localhost": "localhost",
	} {
		if got, err := normalName(name); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", name, got, err, want)
		}
	}
	for _, name := range []string{"", "*", "*.", "*.com", "a.*.example", "**.example.com", "a*.example", "a b.example", "a/b", "-a.example", "a..example"} {
		if got, err := normalName(name); err == nil {
			t.Errorf("%q is taken as %q", name, got)
		}
	}
}

func TestCovers(t *testing.T) {
	for _, test := range []struct {
		certificate, name string
		want              bool
	}{
		{"a.example", "a.example", true},
		{"*.example.com", "a.example.com", true},
		{"*.example.com", "example.com", false},
		{"*.example.com", "a.b.example.com", false},
		{"*.example.com", "*.example.com", true},
		{"*.example.com", "*.a.example.com", false},
		{"*.com", "*.example.com", false},
		{"a.example", "*.example", false},
	} {
		if got := covers([]string{"other.example", test.certificate}, test.name); got != test.want {
			t.Errorf("%s covers %s: %v", test.certificate, test.name, got)
		}
	}
}

func TestNormalWants(t *testing.T) {
	wants := []identity.Wanted{
		{Domains: []string{"b.example", "B.example.", "c.example"}, Router: "one@file"},
		{Domains: []string{"b.example", "c.example"}, Router: "again@file"},
		{Domains: []string{"*.example.com", "z.example"}, Router: "wild@file"},
		{Domains: []string{"a..b", "a.example"}},
	}
	text := func(wildcards bool) string {
		sets, problems := normalWants(wants, wildcards)
		var all []string
		for _, names := range sets {
			all = append(all, strings.Join(names, "+"))
		}
		for _, p := range problems {
			before, _, _ := strings.Cut(p.Error(), ", which")
			all = append(all, "! "+before)
		}
		return strings.Join(all, "\n")
	}
	const broken = `! the default certificate: "a..b" is no host name`
	if got, want := text(true), "*.example.com+z.example\na.example\nb.example+c.example\n"+broken; got != want {
		t.Errorf("with dnsChallenge:\n%s\nwant:\n%s", got, want)
	}
	if got, want := text(false), "a.example\nb.example+c.example\nz.example\n"+
		"! router wild@file: *.example.com: a wildcard can be proven by dnsChallenge alone\n"+broken; got != want {
		t.Errorf("without:\n%s\nwant:\n%s", got, want)
	}
}

func TestArpaAddress(t *testing.T) {
	for name, want := range map[string]string{
		"1.2.0.192.in-addr.arpa": "192.0.2.1", "a.example": "a.example", "x.ip6.arpa": "x.ip6.arpa", "300.2.0.192.in-addr.arpa": "300.2.0.192.in-addr.arpa",
		"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa": netip.MustParseAddr("2001:db8::1").String(),
	} {
		if got := arpaAddress(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}
