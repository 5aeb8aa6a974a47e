package route

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/internal/urlpath"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

// seed repeats a failure: go test -seed N.
var seed = flag.Uint64("seed", uint64(time.Now().UnixNano()), "of random tables and requests")

func mustParse(t testing.TB, rule string) *Rule {
	t.Helper()
	r, err := Parse(rule)
	if err != nil {
		t.Fatalf("%s: %v", rule, err)
	}
	return r
}

func pick(r *rand.Rand, from ...string) string { return from[r.IntN(len(from))] }

// randomRule makes rules of few words, so that they often match and often collide.
func randomRule(r *rand.Rand, depth int) string {
	if depth > 0 {
		switch r.IntN(6) {
		case 0, 1:
			return randomRule(r, depth-1) + " && " + randomRule(r, 0)
		case 2:
			return "(" + randomRule(r, depth-1) + " || " + randomRule(r, depth-1) + ")"
		case 3:
			return "(" + randomRule(r, depth-1) + " || " + randomRule(r, depth-1) + ") && " + randomRule(r, depth-1)
		case 4:
			return "!(" + randomRule(r, depth-1) + ")"
		}
	}
	hosts := []string{"x", "a.x", "b.x", "c.a.x", "*.x", "**.x", "*.a.x", "**.a.x", "*", "A.X.", "1.2.3.4", "[::1]", "ax"}
	paths := []string{"/", "/a", "/a/", "/a/b", "/ab", "/abc", "/a%2Fb", "/é", "/é/b", "/a b", "/b"}
	switch r.IntN(15) {
	case 0, 1, 2:
		return fmt.Sprintf("Host(`%s`)", pick(r, hosts...))
	case 3:
		return fmt.Sprintf("HostRegexp(`%s`)", pick(r, `^.+\.x$`, `a\.x$`, `^[a-c]\.`, `^a\.x$`, `x`, `(?i)A\.X$`, `\.x\.$`, `^(a|b)\.x$`, `.$`))
	case 4:
		return fmt.Sprintf("Path(`%s`)", pick(r, paths...))
	case 5, 6, 7:
		return fmt.Sprintf("PathPrefix(`%s`)", pick(r, paths...))
	case 8:
		return fmt.Sprintf("PathRegexp(`%s`)", pick(r, `^/a`, `^/a/[a-z]$`, `b$`, `^/é/`, `^/a b`, `^/a|b`, `(?i)^/A`, `^/a%2F`, `/a?b`, `^/a*`, `^\*$`))
	case 9:
		return fmt.Sprintf("Header(`%s`, `%s`)", pick(r, "X-A", "x-b", "Accept"), pick(r, "1", "2", "text/html"))
	case 10:
		return fmt.Sprintf("HeaderRegexp(`%s`, `%s`)", pick(r, "X-A", "x-b"), pick(r, "^[12]$", ".", "^$"))
	case 11:
		return pick(r, "Query(`q`, `1`)", "Query(`q`)", "Query(`p`, `a b`)", "Query(`é`, `1`)", "QueryRegexp(`q`)")
	case 12:
		return pick(r, "QueryRegexp(`q`, `^[12]?$`)", "QueryRegexp(`p`, ` b$`)")
	case 13:
		return fmt.Sprintf("Method(`%s`)", pick(r, "GET", "post"))
	}
	return fmt.Sprintf("ClientIP(`%s`)", pick(r, "192.0.2.1", "192.0.2.0/24", "::1", "2001:db8::/32", "10.1.2.3/8", "::ffff:10.0.0.0/104"))
}

func randomEntry(t testing.TB, r *rand.Rand, names int) Entry {
	e := Entry{Name: fmt.Sprint("r", r.IntN(names)), Rule: mustParse(t, randomRule(r, 3)), Rank: r.IntN(3)}
	if r.IntN(3) == 0 {
		e.Priority = r.IntN(60) - 10
	}
	return e
}

func randomRequest(t testing.TB, r *rand.Rand) *exchange.Exchange {
	path := pick(r, "/", "/a", "/a/", "/a/b", "/a/c", "/ab", "/abcd", "/a%2fb", "/%C3%A9/b", "/é", "/a%20b", "/a|b", "/b", "/%FF", "*")
	if r.IntN(4) == 0 {
		path = "/" + pick(r, "a", "b", "é") + pick(r, "", "/", "b") + pick(r, "", "c", "%2f")
	}
	normal, err := urlpath.Normalize(nil, []byte(path), urlpath.Sanitize)
	if err != nil {
		t.Fatal(err)
	}
	var lines []any
	for range r.IntN(3) {
		lines = append(lines, pick(r, "X-A: 1", "x-a: 2", "X-B: 1", "X-b:", "Accept: text/html", "X-A: 3"))
	}
	x := exchangetest.Request(pick(r, "GET", "POST", "post"), "/", lines...)
	x.Request.Path = normal
	x.Request.Host = []byte(pick(r, "x", "a.x", "A.x:8080", "b.X.", "c.a.x", "c.A.x.", "d.c.a.x", "ax", "y", "", ".x", "[::1]", "[::1]:80", "1.2.3.4:1"))
	x.Request.Query = []byte(pick(r, "", "q=1", "q", "q=&q=2", "p=a+b", "p=a%20b&q=%31", "q=%zz&q=1", "q=1;p=2", "%C3%A9=1", "&&q=1", "x=1&q=3"))
	x.Client = netip.MustParseAddr(pick(r, "192.0.2.1", "192.0.2.9", "::1", "2001:db8::5", "::ffff:192.0.2.1", "10.9.9.9", "::ffff:10.0.0.1"))
	return x
}

// TestIndexAgreesWithLinearScan also checks that tables already handed out never change.
func TestIndexAgreesWithLinearScan(t *testing.T) {
	t.Logf("seed %d", *seed)
	r := rand.New(rand.NewPCG(*seed, 1))
	for range 300 {
		var put []Entry
		size := 1 + r.IntN(40)
		for range size {
			put = append(put, randomEntry(t, r, size))
		}
		table, scan := NewTable(put), &linear{}
		scan.update(nil, put)
		compare(t, r, table, scan)
		for range r.IntN(6) {
			old, oldScan := table, *scan
			var remove []string
			put = nil
			for range r.IntN(4) {
				remove = append(remove, fmt.Sprint("r", r.IntN(size)))
				put = append(put, randomEntry(t, r, size))
			}
			table = table.Update(remove, put)
			scan.update(remove, put)
			compare(t, r, table, scan)
			compare(t, r, old, &oldScan)
		}
		var all []string
		for _, e := range scan.entries {
			all = append(all, e.Name)
		}
		if empty := table.Update(all, nil); empty.Len() != 0 || empty.index.exact != nil || empty.index.endings.best() != nil || empty.index.anyHost.best() != nil || empty.names.best() != nil {
			t.Fatalf("seed %d: something is left of %v: %+v", *seed, all, empty)
		}
		if t.Failed() {
			return
		}
	}
}

// TestWideTables adds and removes names that differ in every letter, so that shards of hosts grow and
// get gaps, and nodes have many children.
func TestWideTables(t *testing.T) {
	t.Logf("seed %d", *seed)
	r := rand.New(rand.NewPCG(*seed, 2))
	table, want := NewTable(nil), map[string]bool{}
	for range 100 {
		var remove []string
		var put []Entry
		for _, i := range r.Perm(36 * 36)[:40] {
			const letters = "abcdefghijklmnopqrstuvwxyz0123456789"
			name := string([]byte{letters[i/36], letters[i%36]})
			if want[name] {
				remove = append(remove, name)
			} else {
				put = append(put, Entry{Name: name, Rule: mustParse(t, fmt.Sprintf("Host(`%s.x`) || Path(`/%s`)", name, name))})
			}
			want[name] = !want[name]
		}
		table = table.Update(remove, put)
		for name, there := range want {
			for _, url := range []string{"http://" + name + ".x/", "http://y/" + name} {
				e := table.Match(exchangetest.Request("GET", url))
				if (e != nil) != there || there && e.Name != name {
					t.Fatalf("seed %d: %s: %v", *seed, url, e)
				}
			}
		}
	}
}

func (t *tree[V]) best() *item {
	if t == nil {
		return nil
	}
	if t.top == nil && len(t.kids()) > 0 {
		panic("an empty tree has branches")
	}
	return t.top
}

func compare(t *testing.T, r *rand.Rand, table *Table, scan *linear) {
	t.Helper()
	if table.Len() != len(scan.entries) {
		t.Errorf("seed %d: %d entries, want %d", *seed, table.Len(), len(scan.entries))
	}
	for range 20 {
		x := randomRequest(t, r)
		got := ""
		if e := table.Match(x); e != nil {
			got = e.Name
		}
		if want := scan.match(x); got != want {
			var rules strings.Builder
			for _, e := range scan.entries {
				fmt.Fprintf(&rules, "\n%s %d %d: %s", e.Name, e.Priority, e.Rank, e.Rule)
			}
			t.Errorf("seed %d: %s %s%s?%s from %s matched %q, want %q in%s", *seed, x.Request.Method, x.Request.Host,
				x.Request.Path, x.Request.Query, x.Client, got, want, &rules)
			return
		}
	}
}
