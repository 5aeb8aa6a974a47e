package route

import (
	"go/ast"
	goparser "go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// goParse reads a rule the way Traefik does: as a Go expression in which only calls of matchers with
// string literals, &&, ||, ! and parentheses mean something. False means that it is no rule.
func goParse(rule string) (*node, bool) {
	e, err := goparser.ParseExpr(rule)
	if err != nil {
		return nil, false
	}
	return goNode(e)
}

func goNode(e ast.Expr) (*node, bool) {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return goNode(e.X)
	case *ast.UnaryExpr:
		kid, ok := goNode(e.X)
		return &node{op: opNot, kids: []*node{kid}}, ok && e.Op == token.NOT
	case *ast.BinaryExpr:
		left, ok1 := goNode(e.X)
		right, ok2 := goNode(e.Y)
		op := opAnd
		if e.Op == token.LOR {
			op = opOr
		}
		return &node{op: op, kids: []*node{left, right}}, ok1 && ok2 && (e.Op == token.LOR || e.Op == token.LAND)
	case *ast.CallExpr:
		return goCall(e)
	}
	return nil, false
}

func goCall(e *ast.CallExpr) (*node, bool) {
	name, ok := e.Fun.(*ast.Ident)
	if !ok || e.Ellipsis.IsValid() {
		return nil, false
	}
	i := slices.IndexFunc(httpGrammar.matchers, func(s signature) bool { return strings.EqualFold(s.name, name.Name) })
	if i < 0 || len(name.Name) != len(httpGrammar.matchers[i].name) { // or a letter beyond ASCII folds to one of its name
		return nil, false
	}
	sig := httpGrammar.matchers[i]
	n := &node{op: opCall, name: sig.name, at: []int{0}}
	for _, arg := range e.Args {
		lit, ok := arg.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			return nil, false
		}
		text, err := strconv.Unquote(lit.Value)
		if err != nil || text == "" {
			return nil, false
		}
		n.args, n.at = append(n.args, text), append(n.at, 0)
	}
	return n, sig.min <= len(n.args) && len(n.args) <= sig.max
}

// checkGoGrammar checks that what is a rule to Traefik is one to us, and means the same. We accept more:
// matchers in any mix of cases and line breaks before operators. We do not accept Go's comments, nor the byte
// order mark that a Go file may begin with.
func checkGoGrammar(t *testing.T, text string) {
	t.Helper()
	want, ok := goParse(text)
	if !ok || len(text) > 2000 || strings.Count(text, "(")+strings.Count(text, "!") > maxDepth ||
		strings.Contains(text, "//") || strings.Contains(text, "/*") || strings.HasPrefix(text, "\ufeff") {
		return
	}
	got, err := parse(text, httpGrammar.matchers)
	if err != nil {
		t.Errorf("%q is a rule to Traefik, to us %v", text, err)
		return
	}
	a, errA := (&Rule{text: text}).build(&httpGrammar, got, false)
	b, errB := (&Rule{text: text}).build(&httpGrammar, want, false)
	if (errA == nil) != (errB == nil) || dump(&a) != dump(&b) {
		t.Errorf("%q is %s to us, %s to Traefik", text, dump(&a), dump(&b))
	}
}

func TestGoGrammar(t *testing.T) {
	names, lines := sections(t, "grammar.txtar")
	for i := range names {
		for _, line := range lines[i] {
			rule, _, _ := strings.Cut(line, " -> ")
			checkGoGrammar(t, rule)
			if _, ok := goParse(rule); !ok && names[i] == "accepted" {
				t.Errorf("%s is no rule to Traefik", rule)
			}
		}
	}
}
