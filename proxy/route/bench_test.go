package route

import (
	"fmt"
	"testing"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

// shapes are tables of n entries and requests that match one in the middle.
var shapes = []struct {
	name   string
	rule   func(i int) string
	url    func(i int) string
	fields func(i int) []any
}{
	{"Host", func(i int) string { return fmt.Sprintf("Host(`app%d.example.com`)", i) },
		func(i int) string { return fmt.Sprintf("http://app%d.example.com/index.html", i) }, nil},
	{"HostPrefix", func(i int) string { return fmt.Sprintf("Host(`example.com`) && PathPrefix(`/svc%d/`)", i) },
		func(i int) string { return fmt.Sprintf("http://example.com/svc%d/index.html", i) }, nil},
	{"Prefix", func(i int) string { return fmt.Sprintf("PathPrefix(`/svc%d/`)", i) },
		func(i int) string { return fmt.Sprintf("http://example.com/svc%d/index.html", i) }, nil},
	{"HostHeader", func(i int) string { return fmt.Sprintf("Host(`app%d.example.com`) && Header(`X-Tenant`, `t`)", i) },
		func(i int) string { return fmt.Sprintf("http://app%d.example.com/", i) },
		func(int) []any { return []any{"Accept: */*", "X-Tenant: t"} }},
	{"Tenant", func(i int) string { return fmt.Sprintf("Host(`example.com`) && Header(`X-Tenant`, `t%d`)", i) },
		func(int) string { return "http://example.com/" },
		func(i int) []any { return []any{"Accept: */*", fmt.Sprintf("X-Tenant: t%d", i)} }},
	{"Query", func(i int) string { return fmt.Sprintf("Host(`example.com`) && Query(`tenant`, `t%d`)", i) },
		func(i int) string { return fmt.Sprintf("http://example.com/?a=b&tenant=t%d", i) }, nil},
	{"Wildcard", func(i int) string { return fmt.Sprintf("Host(`*.app%d.example.com`)", i) },
		func(i int) string { return fmt.Sprintf("http://www.app%d.example.com/", i) }, nil},
	{"HostRegexp", func(i int) string { return fmt.Sprintf("HostRegexp(`^.+\\.app%d\\.example\\.com$`)", i) },
		func(i int) string { return fmt.Sprintf("http://www.app%d.example.com/", i) }, nil},
	{"PathRegexp", func(i int) string { return fmt.Sprintf("PathRegexp(`^/svc%d/[a-z.]+$`)", i) },
		func(i int) string { return fmt.Sprintf("http://example.com/svc%d/index.html", i) }, nil},
	{"Either", func(i int) string {
		return fmt.Sprintf("(Host(`a%d.example.com`) || Host(`b%d.example.com`)) && (PathPrefix(`/x`) || PathPrefix(`/y`)) && !Method(`PUT`)", i, i)
	}, func(i int) string { return fmt.Sprintf("http://b%d.example.com/y/z", i) }, nil},
	{"HostOrPath", func(i int) string {
		return fmt.Sprintf("(Host(`a%d.x`) || PathPrefix(`/svc%d/`)) && Method(`GET`)", i, i)
	},
		func(i int) string { return fmt.Sprintf("http://example.com/svc%d/index.html", i) }, nil},
}

func shapedEntries(t testing.TB, rule func(int) string, n int) []Entry {
	entries := make([]Entry, n)
	for i := range entries {
		entries[i] = Entry{Name: fmt.Sprintf("r%d@file", i), Rule: mustParse(t, rule(i))}
	}
	return entries
}

func BenchmarkMatch(b *testing.B) {
	for _, shape := range shapes {
		for _, n := range []int{1, 10_000} {
			b.Run(fmt.Sprintf("%s/%d", shape.name, n), func(b *testing.B) {
				table := NewTable(shapedEntries(b, shape.rule, n))
				var fields []any
				if shape.fields != nil {
					fields = shape.fields(n / 2)
				}
				x := exchangetest.Request("GET", shape.url(n/2), fields...)
				want := fmt.Sprintf("r%d@file", n/2)
				b.ReportAllocs()
				for b.Loop() {
					if e := table.Match(x); e == nil || e.Name != want {
						b.Fatal(e)
					}
				}
			})
		}
	}
}

// BenchmarkMatchSpread asks for another router each time, so that none is in the cache.
func BenchmarkMatchSpread(b *testing.B) {
	for _, shape := range shapes[:3] {
		b.Run(shape.name+"/10000", func(b *testing.B) {
			const n = 10_000
			table := NewTable(shapedEntries(b, shape.rule, n))
			xs := make([]*exchange.Exchange, n)
			for i := range xs {
				xs[i] = exchangetest.Request("GET", shape.url(i))
			}
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				i = (i + 4711) % n
				if table.Match(xs[i]) == nil {
					b.Fatal(i)
				}
			}
		})
	}
}

func BenchmarkNewTable(b *testing.B) {
	for _, shape := range shapes {
		b.Run(shape.name+"/10000", func(b *testing.B) {
			entries := shapedEntries(b, shape.rule, 10_000)
			b.ReportAllocs()
			for b.Loop() {
				NewTable(entries)
			}
		})
	}
}

func BenchmarkUpdate(b *testing.B) {
	for _, shape := range shapes {
		b.Run(shape.name+"/10000", func(b *testing.B) {
			entries := shapedEntries(b, shape.rule, 10_001)
			table := NewTable(entries[:10_000])
			changed := []Entry{{Name: "r5000@file", Rule: entries[10_000].Rule}}
			b.ReportAllocs()
			for b.Loop() {
				table.Update(nil, changed)
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	for _, rule := range []string{
		"Host(`example.com`)",
		"(Host(`a.example.com`) || Host(`b.example.com`)) && PathPrefix(`/api`) && !Header(`X-Internal`, `1`)",
	} {
		b.Run(rule[:4], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(rule); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
