package route

import (
	"regexp/syntax"
	"strings"
	"unicode/utf8"

	"github.com/pergola-mesh/pergola/internal/urlpath"
)

// pathHint is a prefix that every path has that matches the regexp: `^/users/[0-9]+$` needs "/users/".
// It is zero when there is none.
func pathHint(text string) key {
	parts := sequence(text)
	if len(parts) < 2 || parts[0].Op != syntax.OpBeginText || !plainLiteral(parts[1]) {
		return key{}
	}
	prefix := string(parts[1].Rune)
	// The regexp sees decoded text, in which a % is the start of an escape that may go on behind the
	// literal; and it takes any byte that is not UTF-8 for U+FFFD.
	if i := strings.IndexFunc(prefix, func(r rune) bool { return r == '%' || r == utf8.RuneError }); i >= 0 {
		prefix = prefix[:i]
	}
	if prefix == "" {
		return key{}
	}
	return key{kind: pathPrefix, text: string(urlpath.Literal(prefix))}
}

// hostHint is an ending that every host has that matches the regexp: `^.+\.example\.com$` needs
// ".example.com". It is zero when there is none.
func hostHint(text string) key {
	parts := sequence(text)
	n := len(parts)
	if n < 2 || parts[n-1].Op != syntax.OpEndText || !plainLiteral(parts[n-2]) {
		return key{}
	}
	ending := string(parts[n-2].Rune)
	if strings.HasSuffix(ending, ".") { // the index does not see a dot at the end of a host
		return key{}
	}
	return key{kind: hostSuffix, text: ending}
}

// sequence gives the parts of a regexp that follow each other.
func sequence(text string) []*syntax.Regexp {
	re, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil
	}
	for re.Op == syntax.OpCapture {
		re = re.Sub[0]
	}
	if re.Op != syntax.OpConcat {
		return nil
	}
	return re.Sub
}

func plainLiteral(re *syntax.Regexp) bool {
	return re.Op == syntax.OpLiteral && re.Flags&syntax.FoldCase == 0
}
