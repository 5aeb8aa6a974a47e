package route

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// SyntaxError is why a rule was rejected, and where.
type SyntaxError struct {
	// Rule is the whole rule, Offset the place in it, in bytes.
	Rule   string
	Offset int
	// Message says what is wrong and, where that can be told, what to write instead.
	Message string
}

// Error gives place and message in one line.
func (e *SyntaxError) Error() string {
	line, column := e.place()
	if line > 1 || strings.Contains(e.Rule, "\n") {
		return fmt.Sprintf("rule, line %d, column %d: %s", line, column, e.Message)
	}
	return fmt.Sprintf("rule, column %d: %s", column, e.Message)
}

// place gives line and column, from 1, columns in characters.
func (e *SyntaxError) place() (line, column int) {
	before := e.Rule[:min(max(e.Offset, 0), len(e.Rule))]
	start := strings.LastIndexByte(before, '\n') + 1
	return strings.Count(before, "\n") + 1, utf8.RuneCountInString(before[start:]) + 1
}

func (p *parser) fail(at int, format string, args ...any) error {
	return &SyntaxError{p.text, at, fmt.Sprintf(format, args...)}
}

// unexpected says that something else than what stands here was wanted.
func (p *parser) unexpected(wanted string) error {
	if p.pos == len(p.text) {
		return p.fail(p.pos, "the rule ends where %s was expected", wanted)
	}
	found, _ := utf8.DecodeRuneInString(p.text[p.pos:])
	hint := ""
	switch rest := strings.ToLower(p.text[p.pos:]); {
	case found == '&', strings.HasPrefix(rest, "and"):
		hint = "; AND is written &&"
	case found == '|', strings.HasPrefix(rest, "or"):
		hint = "; OR is written ||"
	}
	return p.fail(p.pos, "expected %s, found %q%s", wanted, found, hint)
}

func (p *parser) unknown(at int, name string) error {
	const long = 40
	if len(name) > long {
		name = name[:long] + "…"
	}
	if strings.EqualFold(name, "not") {
		return p.fail(at, "unknown matcher %q; NOT is written !", name)
	}
	if near := nearest(name, p.matchers); near != "" {
		return p.fail(at, "unknown matcher %q, did you mean %s?", name, near)
	}
	names := make([]string, len(p.matchers))
	for i, m := range p.matchers {
		names[i] = m.name
	}
	return p.fail(at, "unknown matcher %q; there are %s", name, strings.Join(names, ", "))
}

// nearest is the matcher whose name takes the fewest edits to get to from name; empty when more than
// half of the letters would have to go.
func nearest(name string, matchers []signature) string {
	best, fewest := "", len(name)/2+1
	for _, m := range matchers {
		if d := distance(strings.ToLower(name), strings.ToLower(m.name)); d < fewest {
			best, fewest = m.name, d
		}
	}
	return best
}

// distance is the number of letters to insert, delete or replace to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
