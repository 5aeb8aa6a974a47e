package route

import (
	"errors"
	"slices"
	"strings"
)

// Rule is a parsed rule. It is immutable, and may be used by any number of tables.
type Rule struct {
	text     string
	root     expr
	places   []place
	hosts    []string
	priority int
	catchAll bool
	others   bool // it asks for more than hosts
	warnings []string
}

// Parse reads a rule in the HTTP rule grammar of Traefik v3: the matchers ClientIP, Method, Host,
// HostRegexp, Path, PathPrefix, PathRegexp, Header, HeaderRegexp, Query and QueryRegexp, in any case,
// with arguments in backticks or double quotes, joined by &&, || and ! with parentheses.
//
// Errors are *SyntaxError.
func Parse(rule string) (*Rule, error) { return httpGrammar.parse(rule) }

// grammar is a set of matchers and what they mean.
type grammar struct {
	matchers []signature
	// atom makes an atom of a matcher and its arguments, whose number is right. The warning says what
	// is allowed but can hardly be meant.
	atom func(matcher string, args []string) (a *atom, warning string, err error)
	// catchAll reports whether a matcher that is all of a rule makes it one for what no other rule
	// takes; nil: there is none such.
	catchAll func(matcher string, args []string) bool
}

func (g *grammar) parse(rule string) (*Rule, error) {
	tree, err := parse(rule, g.matchers)
	if err != nil {
		return nil, err
	}
	r := &Rule{text: rule, priority: len(rule)}
	if g.catchAll != nil && tree.op == opCall && g.catchAll(tree.name, tree.args) {
		r.catchAll, r.priority = true, -1
	}
	if r.root, err = r.build(g, tree, false); err != nil {
		return nil, err
	}
	r.places = r.root.places()
	return r, nil
}

// build turns what was written into an expression, negations pushed down.
func (r *Rule) build(g *grammar, n *node, not bool) (expr, error) {
	switch n.op {
	case opCall:
		return r.atom(g, n, not)
	case opNot:
		return r.build(g, n.kids[0], !not)
	}
	f := conjunction
	if (n.op == opOr) != not {
		f = disjunction
	}
	kids := make([]expr, 0, len(n.kids))
	for _, kid := range n.kids {
		e, err := r.build(g, kid, not)
		if err != nil {
			return expr{}, err
		}
		kids = append(kids, e)
	}
	return join(f, kids), nil
}

func (r *Rule) atom(g *grammar, n *node, not bool) (expr, error) {
	a, warning, err := g.atom(n.name, n.args)
	if err != nil {
		at := n.at[len(n.at)-1]
		if errors.Is(err, errFieldName) {
			at = n.at[1]
		}
		return expr{}, &SyntaxError{r.text, at, n.name + ": " + err.Error()}
	}
	if warning != "" {
		r.warnings = append(r.warnings, (&SyntaxError{r.text, n.at[0], warning}).Error())
	}
	if a.kind == anything {
		if not {
			return expr{form: never}, nil
		}
		return expr{form: always}, nil
	}
	r.others = r.others || not || a.kind != hostRegexp && a.dimension() != byHost
	if !not && a.dimension() == byHost {
		r.host(n.args[0], a.kind)
	}
	return expr{form: literal, atom: a, not: not}, nil
}

// host notes a host that the rule asks for.
func (r *Rule) host(text string, k kind) {
	host := strings.TrimSuffix(strings.ToLower(text), ".")
	if !slices.Contains(r.hosts, host) {
		r.hosts = append(r.hosts, host)
	}
	if k == hostDeep {
		r.priority -= len("**")
	}
}

// String is the rule as it was written.
func (r *Rule) String() string { return r.text }

// Priority is the priority of a router that sets none: the length of the rule in bytes. The stars of a
// host such as **.example.com do not count, so that it stands behind *.example.com; that of CatchAll is -1.
func (r *Rule) Priority() int { return r.priority }

// CatchAll reports whether the rule is HostSNI(`*`) and nothing else.
func (r *Rule) CatchAll() bool { return r.catchAll }

// Hosts are the hosts and wildcards that the rule asks for by Host or HostSNI, in lower case, in the order of the
// rule, each once; negated ones are not among them. They are the domains that a router's certificate is for. Do
// not change it.
func (r *Rule) Hosts() []string { return r.hosts }

// OnlyHosts reports whether the rule asks for nothing but hosts, by name or by regular expression.
func (r *Rule) OnlyHosts() bool { return !r.others }

// TakesHost reports whether the rule takes a stream for a server name of which nothing else is known, or, if it
// asks for OnlyHosts, a request for that host.
func (r *Rule) TakesHost(name string) bool {
	v := view{stream: &Stream{ServerName: name}, fullHost: []byte(name)}
	v.host = v.fullHost
	return r.root.match(&v)
}

// Confined reports whether whatever the rule matches asks for one of Hosts.
func (r *Rule) Confined() bool {
	for _, p := range r.places {
		switch p.keys[byHost].kind {
		case hostExact, hostLabel, hostDeep:
		default:
			return false
		}
	}
	return true
}

// Warnings tell what the rule may say but can hardly mean, such as a host with a port, which never
// matches; each with its place. Do not change it.
func (r *Rule) Warnings() []string { return r.warnings }
