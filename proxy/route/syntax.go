package route

import (
	"fmt"
	"strconv"
	"strings"
)

// What a rule may be, at most.
const (
	maxRule  = 64 << 10 // bytes
	maxDepth = 100      // parentheses and negations inside each other
)

// signature is a matcher of a grammar: its name and how many arguments it takes.
type signature struct {
	name     string
	min, max int
}

// op is what a node of a rule does.
type op uint8

const (
	opCall op = iota // a matcher
	opNot
	opAnd
	opOr
)

// node is a piece of a rule as it was written.
type node struct {
	op   op
	kids []*node
	// Of a call:
	name string // as in the signature
	args []string
	at   []int // where the name and each argument begin, in bytes
}

// parser reads the rule grammar: matchers with quoted arguments, joined by &&, || and ! with Go's
// precedence, and parentheses.
type parser struct {
	text     string
	pos      int
	depth    int
	matchers []signature
}

// parse reads rule as an expression of matchers. Errors are *SyntaxError.
func parse(rule string, matchers []signature) (*node, error) {
	p := &parser{text: rule, matchers: matchers}
	if len(rule) > maxRule {
		return nil, p.fail(0, "the rule is longer than %d bytes", maxRule)
	}
	p.space()
	if p.pos == len(rule) {
		return nil, p.fail(0, "the rule is empty")
	}
	n, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.pos < len(rule) {
		return nil, p.unexpected("&& or ||")
	}
	return n, nil
}

func (p *parser) or() (*node, error)  { return p.list(opOr, "||", p.and) }
func (p *parser) and() (*node, error) { return p.list(opAnd, "&&", p.unary) }

// list reads one or more operands with the operator between them.
func (p *parser) list(o op, operator string, operand func() (*node, error)) (*node, error) {
	n, err := operand()
	if err != nil || !p.take(operator) {
		return n, err
	}
	n = &node{op: o, kids: []*node{n}}
	for {
		kid, err := operand()
		if err != nil {
			return nil, err
		}
		n.kids = append(n.kids, kid)
		if !p.take(operator) {
			return n, nil
		}
	}
}

func (p *parser) unary() (*node, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, p.fail(p.pos, "more than %d parentheses and negations inside each other", maxDepth)
	}
	defer func() { p.depth-- }()
	if p.take("!") {
		n, err := p.unary()
		if err != nil {
			return nil, err
		}
		return &node{op: opNot, kids: []*node{n}}, nil
	}
	open := p.pos
	if !p.take("(") {
		return p.call()
	}
	n, err := p.or()
	if err != nil {
		return nil, err
	}
	if !p.take(")") {
		if p.pos == len(p.text) {
			return nil, p.fail(open, "this parenthesis is not closed")
		}
		return nil, p.unexpected("&&, || or )")
	}
	return n, nil
}

// call reads a matcher with its arguments.
func (p *parser) call() (*node, error) {
	start := p.pos
	for p.pos < len(p.text) && isLetter(p.text[p.pos]) {
		p.pos++
	}
	if p.pos == start {
		return nil, p.unexpected("a matcher")
	}
	name := p.text[start:p.pos]
	p.space()
	sig, ok := p.matcher(name)
	if !ok {
		return nil, p.unknown(start, name)
	}
	if !p.take("(") {
		return nil, p.unexpected("( after " + sig.name)
	}
	n := &node{op: opCall, name: sig.name, at: []int{start}}
	for !p.take(")") {
		if len(n.args) > 0 {
			if !p.take(",") {
				return nil, p.unexpected(", or )")
			}
			if p.take(")") { // as in Go, a comma may follow the last argument
				break
			}
		}
		n.at = append(n.at, p.pos)
		arg, err := p.argument(sig.name)
		if err != nil {
			return nil, err
		}
		n.args = append(n.args, arg)
	}
	if len(n.args) < sig.min || len(n.args) > sig.max {
		return nil, p.fail(start, "%s", sig.mismatch(len(n.args)))
	}
	return n, nil
}

func (s signature) mismatch(got int) string {
	takes := fmt.Sprintf("%d argument", s.min)
	if s.max > s.min {
		takes = fmt.Sprintf("%d or %d argument", s.min, s.max)
	}
	if s.max > 1 {
		takes += "s"
	}
	text := fmt.Sprintf("%s takes %s, got %d", s.name, takes, got)
	if s.max == 1 && got > 1 {
		text += fmt.Sprintf(": join several with ||, as in %s(`a`) || %s(`b`)", s.name, s.name)
	}
	return text
}

func (p *parser) matcher(name string) (signature, bool) {
	for _, s := range p.matchers {
		if strings.EqualFold(s.name, name) {
			return s, true
		}
	}
	return signature{}, false
}

// argument reads a Go string literal.
func (p *parser) argument(matcher string) (string, error) {
	start := p.pos
	if start == len(p.text) {
		return "", p.fail(start, "the arguments of %s are not closed with )", matcher)
	}
	quote := p.text[start]
	switch quote {
	case '`', '"':
	case '\'':
		return "", p.fail(start, "single quotes are not accepted: use backticks or double quotes")
	default:
		return "", p.unexpected("an argument in backticks or double quotes")
	}
	end := start + 1
	for end < len(p.text) && p.text[end] != quote {
		if quote == '"' && p.text[end] == '\\' {
			end++
		}
		end++
	}
	if end >= len(p.text) {
		return "", p.fail(start, "this string is not closed")
	}
	p.pos = end + 1
	arg, err := strconv.Unquote(p.text[start:p.pos])
	if err != nil {
		return "", p.fail(start, "not a Go string: an invalid escape or a line break in double quotes; backticks need no escapes")
	}
	if arg == "" {
		return "", p.fail(start, "an argument of %s is empty", matcher)
	}
	p.space()
	return arg, nil
}

// take consumes a token when it is next, with the white space after it.
func (p *parser) take(token string) bool {
	if !strings.HasPrefix(p.text[p.pos:], token) {
		return false
	}
	p.pos += len(token)
	p.space()
	return true
}

func (p *parser) space() {
	for p.pos < len(p.text) {
		switch p.text[p.pos] {
		case ' ', '\t', '\r', '\n':
			p.pos++
		default:
			return
		}
	}
}

func isLetter(c byte) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c == '_'
}
