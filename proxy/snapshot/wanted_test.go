package snapshot

import (
	"fmt"
	"slices"
	"testing"
)

// Routers of TCP want certificates as those of HTTP do: for their domains, or else the names in their rules. Those
// that are not served, or that pass TLS through, want none; one that keeps its last good version wants what that does.
func TestWanted(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Resolvers = []string{"le"} })
	wanted := func() (all []string) {
		for _, w := range f.builder.Snapshot().Wanted() {
			all = append(all, fmt.Sprintf("%s %s %q", w.Router, w.Resolver, w.Domains))
		}
		return all
	}
	const services = `
http:
  routers:
    site: {rule: "Host(` + "`site.example`" + `)", service: noop@internal, tls: {certResolver: le}}
tcp:
  services:
    s: {loadBalancer: {servers: [{address: "10.0.0.1:1"}]}}
  routers:
`
	const routers = "" +
		"    names: {rule: \"HostSNI(`a.example`) || HostSNI(`b.example`)\", service: s, tls: {certResolver: le}}\n" +
		"    domains: {rule: \"HostSNI(`*`)\", service: s, tls: {certResolver: le, domains: [{main: c.example, sans: [d.example]}, {main: '*.e.example'}]}}\n" +
		"    pass: {rule: \"HostSNI(`f.example`)\", service: s, tls: {certResolver: le, passthrough: true}}\n" +
		"    broken: {rule: \"HostSNI(`g.example`)\", service: none, tls: {certResolver: le}}\n" +
		"    regexp: {rule: \"HostSNIRegexp(`^h`)\", service: s, tls: {certResolver: le}}\n" +
		"    plain: {rule: \"HostSNI(`i.example`)\", service: s, tls: {}}\n"
	want := []string{
		`site@file le ["site.example"]`, `domains@file le ["c.example" "d.example"]`, `domains@file le ["*.e.example"]`,
		`names@file le ["a.example" "b.example"]`,
	}
	f.load(t, services+routers)
	if got := wanted(); !slices.Equal(got, want) {
		t.Errorf("wanted are\n%q, want\n%q", got, want)
	}
	f.load(t, services+"    names: {rule: \"HostSNI(`other.example`)\", servise: s, tls: {certResolver: le}}\n")
	if got, want := wanted(), []string{want[0], want[3]}; !slices.Equal(got, want) {
		t.Errorf("kept, wanted are\n%q, want\n%q", got, want)
	}
}
