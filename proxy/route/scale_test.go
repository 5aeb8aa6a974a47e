package route

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

// TestMatchAllocatesNothing covers every matcher, decoding included.
func TestMatchAllocatesNothing(t *testing.T) {
	rules := []string{
		"Host(`*.example.com`) && PathPrefix(`/a`) && Method(`PUT`)",
		"HostRegexp(`^www\\.[a-z]+\\.com$`) && Method(`PUT`)",
		"PathRegexp(`^/a b/[0-9]`) && Method(`PUT`)",
		"Header(`X-A`, `1`) && HeaderRegexp(`X-B`, `^[0-9]+$`) && Method(`PUT`)",
		"Header(`Content-Length`, `4`) && Method(`PUT`)",
		"Query(`q`, `a b`) && QueryRegexp(`q`, ` b$`) && Method(`PUT`)",
		"ClientIP(`192.0.2.0/24`) && Method(`PUT`)",
		"!Method(`PUT`) && !Host(`a-name-that-is-longer-than-any-buffer.example.com`) && !Host(`**.example.org`) && PathPrefix(`/a%20b`)",
	}
	var entries []Entry
	for i, rule := range rules {
		entries = append(entries, Entry{Name: fmt.Sprint(i), Rule: mustParse(t, rule), Priority: 10 - i})
	}
	table := NewTable(entries)
	x := exchangetest.Request("POST", "http://WWW.Example.com:8080/a%20b/1?p=1&q=a%20b", "X-A: 1", "X-B: 22", []byte("body"))
	if e := table.Match(x); e == nil || e.Name != "7" {
		t.Fatal(e)
	}
	exchangetest.NoAllocations(t, func() { table.Match(x) })
}

// TestTenThousandRouters checks what keeps a match from costing more with more routers: no list of
// candidates grows with them. And one changed entry must stay under 2 % of a new table; that is measured
// by allocations, which are exact.
func TestTenThousandRouters(t *testing.T) {
	for _, shape := range shapes {
		entries := shapedEntries(t, shape.rule, 10_001)
		changed := Entry{Name: "r5000@file", Rule: entries[10_000].Rule}
		var table *Table
		whole := testing.AllocsPerRun(1, func() { table = NewTable(entries[:10_000]) })
		one := testing.AllocsPerRun(10, func() { table.Update([]string{"r1@file"}, []Entry{changed}) })
		if one*50 > whole {
			t.Errorf("%s: %v allocations of %v", shape.name, one, whole)
		}
		if n := table.index.longest(); n != 1 {
			t.Errorf("%s: a list of %d", shape.name, n)
		}
		if table.Len() != 10_000 || table.Entry("r9999@file") == nil || table.Entry("r10000@file") != nil {
			t.Errorf("%s: %d entries", shape.name, table.Len())
		}
	}
}

// longest is the length of the longest list of candidates.
func (x *index) longest() int {
	n := 0
	inBucket := func(b *bucket) {
		if b == nil {
			return
		}
		n = max(n, len(b.plain))
		for _, f := range b.fields {
			each(f.values, func(l *list) {
				if l != nil {
					n = max(n, len(l.candidates))
				}
			})
		}
	}
	inPaths := func(p paths) {
		inBucket(p.prefix)
		inBucket(p.exact)
	}
	each(x.anyHost, inPaths)
	if x.exact != nil {
		for _, s := range x.exact.shards {
			for i := range s.len() {
				each(s.occupied()[i].paths, inPaths)
			}
		}
	}
	each(x.endings, func(h hosts) {
		for _, t := range []*tree[paths]{h.label, h.deep, h.suffix} {
			each(t, inPaths)
		}
	})
	return n
}

func (s *shard) occupied() []slot {
	return slices.DeleteFunc(slices.Clone(s.slots), func(c slot) bool { return c.paths == nil })
}

func each[V ranked](t *tree[V], f func(V)) {
	if t == nil {
		return
	}
	f(t.value)
	for _, kid := range t.kids() {
		each(kid, f)
	}
}

// TestReadersSeeOneTable lets tables be read while others are made of them; it is for the race
// detector.
func TestReadersSeeOneTable(t *testing.T) {
	first := NewTable(shapedEntries(t, shapes[1].rule, 100))
	var wait sync.WaitGroup
	for i := range 4 {
		wait.Go(func() {
			x := exchangetest.Request("GET", shapes[1].url(i))
			for range 500 {
				if e := first.Match(x); e == nil || e.Name != fmt.Sprintf("r%d@file", i) {
					t.Errorf("reader %d: %v", i, e)
					return
				}
			}
		})
	}
	table := first
	for i := range 100 {
		table = table.Update([]string{fmt.Sprintf("r%d@file", i)}, nil)
	}
	wait.Wait()
	if table.Len() != 0 || first.Len() != 100 {
		t.Errorf("%d and %d entries", table.Len(), first.Len())
	}
}

// TestLargeRules checks that no rule, however large, takes more than its bounded number of places, and
// that it still means the same.
func TestLargeRules(t *testing.T) {
	var hosts, paths []string
	for i := range 1000 {
		hosts = append(hosts, fmt.Sprintf("Host(`h%d.x`)", i))
		paths = append(paths, fmt.Sprintf("PathPrefix(`/p%d/`)", i))
	}
	anyHost, anyPath := strings.Join(hosts, "||"), strings.Join(paths, "||")
	for _, c := range []struct {
		rule   string
		places int
	}{
		{anyHost, 1000},
		{"(" + anyHost + ") && (" + anyPath + ")", 0},
		{"(" + anyPath + ") && !(" + anyHost + ")", 1000},
		{anyHost + "||" + anyPath, 2000},
		{"(" + anyHost + "||" + anyPath + ") && Header(`X-A`, `1`)", 2000},
		{"(" + anyHost + "||" + anyPath + "||" + anyHost + "|| Header(`X-A`, `1`)) && !Method(`PUT`)", 2001},
	} {
		rule := mustParse(t, c.rule)
		if n := len(rule.places); n > maxPlaces || c.places > 0 && n != c.places {
			t.Errorf("%.30s: %d places", c.rule, n)
		}
		table := NewTable([]Entry{{Name: "r", Rule: rule}})
		for _, url := range []string{"http://h999.x/p999/", "http://h999.x/q", "http://g.x/p7/", "http://h0.x/p0/", "http://g.x/"} {
			x := exchangetest.Request("GET", url)
			var v view
			v.look(x)
			if got, want := table.Match(x) != nil, rule.root.match(&v); got != want {
				t.Errorf("%.30s: %s: index %v, rule %v", c.rule, url, got, want)
			}
		}
	}
}
