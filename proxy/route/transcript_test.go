package route

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/pergola-mesh/pergola/internal/urlpath"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

// sections gives the sections of a transcript and the lines of each, without comments.
func sections(t testing.TB, file string) (names []string, lines [][]string) {
	t.Helper()
	archive, err := txtar.ParseFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range archive.Files {
		var section []string
		for line := range strings.Lines(string(f.Data)) {
			if !strings.HasPrefix(line, "#") {
				section = append(section, strings.TrimSuffix(line, "\n"))
			}
		}
		names, lines = append(names, f.Name), append(lines, section)
	}
	return names, lines
}

func TestGrammar(t *testing.T) {
	names, lines := sections(t, "grammar.txtar")
	for i, name := range names {
		for _, line := range lines[i] {
			rule, want, ok := strings.Cut(line, " -> ")
			if !ok {
				t.Fatalf("%q has no arrow", line)
			}
			r, err := Parse(rule)
			var got string
			switch {
			case err != nil:
				got = err.Error()
			case name == "accepted":
				got = dump(&r.root)
				if r.String() != rule {
					t.Errorf("%s became %s", rule, r)
				}
			default:
				got = strings.Join(r.Warnings(), "; ")
			}
			if got != want {
				t.Errorf("%s: %s -> %s, want %s", name, rule, got, want)
			}
			if (err != nil) != (name == "rejected") {
				t.Errorf("%s: %s: error %v", name, rule, err)
			}
		}
	}
}

// dump prints an expression, operators in front.
func dump(e *expr) string {
	switch e.form {
	case always:
		return "always"
	case never:
		return "never"
	case literal:
		text := e.atom.dump()
		if e.not {
			text = "!" + text
		}
		return text
	}
	text := "(and"
	if e.form == disjunction {
		text = "(or"
	}
	for i := range e.kids {
		text += " " + dump(&e.kids[i])
	}
	return text + ")"
}

func (a *atom) dump() string {
	text := a.text
	switch a.kind {
	case hostExact:
		return "host:" + text
	case hostLabel:
		return "host:*" + text
	case hostDeep:
		return "host:**" + text
	case hostRegexp:
		if a.hint.kind == hostSuffix {
			text += "(*" + a.hint.text + ")"
		}
		return "host~" + text
	case pathExact:
		return "path:" + text
	case pathPrefix:
		return "prefix:" + text
	case pathRegexp:
		if a.hint.kind == pathPrefix {
			text += "(" + a.hint.text + "*)"
		}
		return "path~" + text
	case headerExact:
		return "header:" + a.name + "=" + text
	case headerRegexp:
		return "header:" + a.name + "~" + text
	case queryExact:
		return "query:" + a.name + "=" + text
	case queryRegexp:
		return "query:" + a.name + "~" + text
	case methodExact:
		return "method:" + text
	case clientIP:
		return "ip:" + a.ips.String()
	}
	return "never:" + text
}

// request reads "GET host/path?query {Field: value} @client".
func request(t testing.TB, line string) *exchange.Exchange {
	t.Helper()
	words := strings.SplitN(line, " ", 3)
	if len(words) < 2 {
		t.Fatalf("%q is no request", line)
	}
	var fields []any
	client := netip.MustParseAddr("192.0.2.1")
	if len(words) == 3 {
		rest := words[2]
		if before, addr, ok := strings.Cut(rest, "@"); ok {
			client, rest = netip.MustParseAddr(addr), before
		}
		for field := range strings.SplitSeq(rest, "{") {
			if field, _, ok := strings.Cut(field, "}"); ok {
				fields = append(fields, field)
			}
		}
	}
	x := exchangetest.Request(words[0], "/", fields...)
	x.Client = client
	i := strings.IndexAny(words[1], "/*")
	path, query, hasQuery := strings.Cut(words[1][i:], "?")
	normal, err := urlpath.Normalize(nil, []byte(path), urlpath.Sanitize)
	if err != nil {
		t.Fatal(err)
	}
	r := &x.Request
	r.Host, r.Path, r.Query, r.HasQuery = []byte(words[1][:i]), normal, []byte(query), hasQuery
	return x
}

func TestMatchers(t *testing.T) {
	names, lines := sections(t, "matchers.txtar")
	for i, name := range names {
		rule := mustParse(t, name)
		table := NewTable([]Entry{{Name: "r", Rule: rule}})
		for _, line := range lines[i] {
			want := strings.HasPrefix(line, "+ ")
			x := request(t, line[2:])
			if got := table.Match(x) != nil; got != want {
				t.Errorf("%s: %s: index says %v", name, line, got)
			}
			var v view
			v.look(x)
			if got := rule.root.match(&v); got != want {
				t.Errorf("%s: %s: rule says %v", name, line, got)
			}
		}
	}
}

func TestPriorities(t *testing.T) {
	names, lines := sections(t, "priorities.txtar")
	for i, name := range names {
		var entries []Entry
		for len(lines[i]) > 0 && lines[i][0] != "" {
			words := strings.Fields(lines[i][0])
			priority, err1 := strconv.Atoi(words[1])
			rank, err2 := strconv.Atoi(words[2])
			if err1 != nil || err2 != nil {
				t.Fatalf("%s: %s", name, lines[i][0])
			}
			entries = append(entries, Entry{Name: words[0], Priority: priority, Rank: rank, Rule: mustParse(t, strings.Join(words[3:], " "))})
			lines[i] = lines[i][1:]
		}
		table := NewTable(entries)
		for _, line := range lines[i] {
			if line == "" {
				continue
			}
			target, want, _ := strings.Cut(line, " -> ")
			got := "none"
			if e := table.Match(request(t, target)); e != nil {
				got = e.Name
			}
			if got != want {
				t.Errorf("%s: %s -> %s, want %s", name, target, got, want)
			}
		}
	}
}

func TestPlaceOfError(t *testing.T) {
	long := strings.Repeat("Host(`a`) || ", 20)
	for rule, want := range map[string]string{
		"Host(`é`) && Hots(`b`)":                   "rule, column 14: ",
		"Host(`a`) &&\n\tHots(`b`) &&\n Path(`/`)": "rule, line 2, column 2: ",
		long + "Hots(`b`) || " + long:              "rule, column 261: ",
		"Host(`a`":                                 "rule, column 9: ",
	} {
		if _, err := Parse(rule); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", rule, err, want)
		}
	}
}

func TestLimits(t *testing.T) {
	for _, c := range []struct{ rule, err string }{
		{strings.Repeat("(", 101) + "Host(`a`)" + strings.Repeat(")", 101), "rule, column 101: more than 100 "},
		{strings.Repeat("!", 1<<15) + "Host(`a`)", "rule, column 101: more than 100 "},
		{strings.Repeat(" ", 64<<10) + "Host(`a`)", "rule, column 1: the rule is longer than "},
		{"PathRegexp(`" + strings.Repeat("a", 9<<10) + "`)", "rule, column 12: PathRegexp: the regular expression is longer than "},
		{"PathRegexp(`((a{100}){100}){100}`)", "rule, column 12: PathRegexp: not a regular expression of Go: "},
		{strings.Repeat("a", 60<<10), `rule, column 1: unknown matcher "aaaaaaaa`},
	} {
		_, err := Parse(c.rule)
		if err == nil || !strings.HasPrefix(err.Error(), c.err) || len(err.Error()) > 200 {
			t.Errorf("%.40s: %.300v", c.rule, err)
		}
	}
	if _, err := Parse(strings.Repeat("(", 99) + "Host(`a`)" + strings.Repeat(")", 99)); err != nil {
		t.Error(err)
	}
}

func TestHosts(t *testing.T) {
	r := mustParse(t, "(Host(`A.com.`) || Host(`*.b.com`) || HostRegexp(`c`)) && !Host(`d.com`) || Host(`a.com`) && !(!Host(`**.e.com`))")
	if got, want := fmt.Sprint(r.Hosts()), "[a.com *.b.com **.e.com]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got, want := r.Priority(), len(r.String())-2; got != want {
		t.Errorf("priority %d, want %d", got, want)
	}
}
