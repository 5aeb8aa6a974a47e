package route

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// FuzzParse checks that any text is either a rule, which the index, the expression and the linear
// evaluator agree on, or an error with a place in it.
func FuzzParse(f *testing.F) {
	_, grammar := sections(f, "grammar.txtar")
	for _, lines := range grammar {
		for _, line := range lines {
			rule, _, _ := strings.Cut(line, " -> ")
			f.Add(rule)
		}
	}
	matchers, _ := sections(f, "matchers.txtar")
	for _, rule := range matchers {
		f.Add(rule)
	}
	r := rand.New(rand.NewPCG(1, 1))
	for range 20 {
		f.Add(randomRule(r, 3))
	}
	var requests []*exchange.Exchange
	for range 40 {
		requests = append(requests, randomRequest(f, r))
	}
	f.Fuzz(func(t *testing.T, text string) {
		checkGoGrammar(t, text)
		rule, err := Parse(text)
		if err != nil {
			var e *SyntaxError
			if !errors.As(err, &e) || e.Offset < 0 || e.Offset > len(text) || e.Message == "" {
				t.Errorf("%q: %#v", text, err)
			}
			return
		}
		if rule.String() != text || len(rule.places) > maxPlaces || rule.Priority() > len(text) {
			t.Errorf("%q: %+v", text, rule)
		}
		entries := []Entry{{Name: "r", Rule: rule}}
		table, scan := NewTable(entries), &linear{entries}
		for _, x := range requests {
			var v view
			v.look(x)
			want := rule.root.match(&v)
			v.close()
			if got := table.Match(x) != nil; got != want {
				t.Errorf("%q: %s%s: index %v, rule %v", text, x.Request.Host, x.Request.Path, got, want)
			}
			if got := scan.match(x) != ""; got != want {
				t.Errorf("%q: %s%s: linear %v, rule %v", text, x.Request.Host, x.Request.Path, got, want)
			}
		}
		if empty := table.Update([]string{"r"}, nil); empty.index.exact != nil || empty.index.endings.best() != nil || empty.index.anyHost.best() != nil {
			t.Errorf("%q is not removed as it was added", text)
		}
	})
}
