package identity

import (
	"cmp"
	"crypto/tls"
	"slices"
	"time"
)

// set finds certificates by name. It is immutable.
type set struct {
	byName map[string][]*Certificate // wildcards too; the best first
	all    []*Certificate
}

// newSet makes a set; earlier certificates win ties.
func newSet(all []*Certificate) *set {
	s := &set{byName: make(map[string][]*Certificate, len(all)), all: all}
	for _, c := range all {
		for _, name := range c.names {
			s.byName[name] = append(s.byName[name], c)
		}
	}
	for _, list := range s.byName {
		slices.SortStableFunc(list, func(a, b *Certificate) int {
			return cmp.Or(cmp.Compare(a.rank, b.rank), b.leaf.NotAfter.Compare(a.leaf.NotAfter))
		})
	}
	return s
}

// covers reports whether a certificate is for name, which is in normal form.
func (s *set) covers(name string) bool {
	return len(s.byName[name]) > 0 || len(s.byName[Wildcard(name)]) > 0
}

// find returns the best certificate for name that the client can use: one for the name itself before
// a wildcard. When it can use none it gets the best anyway, and may say why not. Nil when there is none.
func (s *set) find(name string, hello *tls.ClientHelloInfo) *Certificate {
	if list := s.byName[name]; len(list) > 0 {
		return best(list, hello)
	}
	return best(s.byName[Wildcard(name)], hello)
}

func best(list []*Certificate, hello *tls.ClientHelloInfo) *Certificate {
	switch len(list) {
	case 0:
		return nil
	case 1:
		return list[0]
	}
	now := time.Now()
	var second *Certificate // expired, or of no use without an answer that is not there
	for _, c := range list {
		switch current := now.Before(c.leaf.NotAfter) && now.After(c.leaf.NotBefore); {
		case hello.SupportsCertificate(c.ready.Load()) != nil:
		case current && !c.lacksStaple():
			return c
		case second == nil:
			second = c
		}
	}
	if second != nil {
		return second
	}
	return list[0]
}
