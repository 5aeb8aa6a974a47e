package acme

import (
	"time"

	"github.com/pergola-mesh/pergola/identity"
)

// cover is how long names are covered by certificates that no resolver obtained, by name. It is not
// written to once made.
type cover map[string][]span

// span is the time in which a certificate can be counted on.
type span struct{ from, until time.Time }

// newCover makes the cover of certificates.
func newCover(certificates []*identity.Certificate) cover {
	c := cover{}
	for _, certificate := range certificates {
		s := span{certificate.Leaf().NotBefore, identity.EndsSoon(certificate.Leaf())}
		for _, name := range certificate.Names() {
			if normal, err := normalName(name); err == nil {
				c[normal] = append(c[normal], s)
			}
		}
	}
	return c
}

// at tells whether a name is covered, and when to look again; zero for never.
func (c cover) at(name string, now time.Time) (covered bool, next time.Time) {
	for _, n := range []string{name, identity.Wildcard(name)} {
		for _, s := range c[n] {
			switch {
			case !now.Before(s.until):
			case now.Before(s.from):
				if !covered && (next.IsZero() || s.from.Before(next)) {
					next = s.from
				}
			case !covered || s.until.After(next): // it lasts as long as the last of them
				covered, next = true, s.until
			}
		}
	}
	return covered, next
}
