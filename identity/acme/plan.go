package acme

import (
	"slices"
	"time"

	"github.com/pergola-mesh/pergola/identity"
	"github.com/pergola-mesh/pergola/identity/acme/storage"
)

// job is a certificate to order.
type job struct {
	names []string
	// replaces is the one that it renews; nil when it is new.
	replaces *certificate
}

func (j *job) id() string { return storage.NamesID(j.names) }

// state is what a plan is made from.
type state struct {
	sets         [][]string // what is wanted, normal
	certificates []*certificate
	have         cover           // by what is configured
	always       map[string]bool // names that are wanted all the same
	failures     map[string]storage.Failure
	caServer     string
	lifetime     time.Duration
	// windows are when the authority would like certificates renewed, by certificate; none for those it
	// says nothing of.
	windows map[*certificate]window
}

// plan is what follows from a state.
type plan struct {
	// jobs are due now, the most urgent first.
	jobs []*job
	// next is when another falls due; zero for never.
	next time.Time
	// use are the certificates to serve, one for each wanted name that has any.
	use []*certificate
	// missing counts wanted names without a certificate.
	missing int
	// ordered are the names of all jobs.
	ordered map[string]bool
}

// newPlan finds out what is missing and what is due. Nothing is done for a name that a configured certificate
// covers and will for a while. A name is covered else by any certificate of the
// authority that has not expired; others are served for as long as there is nothing better.
func newPlan(s *state, now time.Time) *plan {
	p := &plan{ordered: map[string]bool{}}
	byName := s.index()
	used := map[*certificate]bool{}
	covering := map[*certificate][]string{}
	var order []*certificate
	for _, set := range s.sets {
		var missing []string
		for _, name := range set {
			if covered, next := s.have.at(name, now); !s.always[name] {
				if !next.IsZero() {
					p.wake(next)
				}
				if covered {
					continue
				}
			}
			c := s.best(byName, name, now)
			if c == nil {
				p.missing++
			} else if !used[c] {
				used[c] = true
				p.use = append(p.use, c)
			}
			if c == nil || c.expired(now) || !c.of(s.caServer) {
				if !p.ordered[name] && !p.ordered[identity.Wildcard(name)] {
					missing = append(missing, name)
				}
				continue
			}
			if covering[c] == nil {
				order = append(order, c)
			}
			covering[c] = append(covering[c], name)
		}
		if len(missing) > 0 {
			p.add(s, &job{names: missing}, now)
		}
	}
	slices.SortStableFunc(order, func(a, b *certificate) int { return a.leaf.NotAfter.Compare(b.leaf.NotAfter) })
	for _, c := range order {
		p.wake(c.leaf.NotAfter)
		if at := s.renewal(c); now.Before(at) {
			p.wake(at)
		} else {
			p.add(s, &job{names: inUse(c, covering[c]), replaces: c}, now)
		}
	}
	return p
}

// add takes a job in, unless what it orders has failed lately.
func (p *plan) add(s *state, j *job, now time.Time) {
	until := s.failures[storage.AuthorityID].Until
	if own := s.failures[j.id()].Until; own.After(until) {
		until = own
	}
	if now.Before(until) {
		p.wake(until)
		return
	}
	p.jobs = append(p.jobs, j)
	for _, name := range j.names {
		p.ordered[name] = true
	}
}

func (p *plan) wake(at time.Time) {
	if p.next.IsZero() || at.Before(p.next) {
		p.next = at
	}
}

// index finds certificates by the names in them.
func (s *state) index() map[string][]*certificate {
	byName := make(map[string][]*certificate, len(s.certificates))
	for _, c := range s.certificates {
		for _, name := range c.names {
			byName[name] = append(byName[name], c)
		}
	}
	return byName
}

// best is the certificate to serve for a name: of this authority rather than of another, unexpired rather
// than expired, then the newest.
func (s *state) best(byName map[string][]*certificate, name string, now time.Time) (best *certificate) {
	better := func(a, b *certificate) bool {
		if x, y := a.expired(now), b.expired(now); x != y {
			return y
		}
		if x, y := a.of(s.caServer), b.of(s.caServer); x != y {
			return x
		}
		return a.leaf.NotBefore.After(b.leaf.NotBefore)
	}
	for _, exact := range []string{name, identity.Wildcard(name)} {
		for _, c := range byName[exact] {
			if best == nil || better(c, best) {
				best = c
			}
		}
	}
	return best
}

// renewal is when a certificate is to be renewed: when the authority says so, or by its life. Whatever
// the authority says, a tenth of its life is left.
func (s *state) renewal(c *certificate) time.Time {
	w := s.windows[c]
	if w.start.IsZero() {
		return c.renewal(s.lifetime)
	}
	at := w.start.Add(c.share(w.end.Sub(w.start)))
	if last := c.leaf.NotAfter.Add(-c.leaf.NotAfter.Sub(c.leaf.NotBefore) / 10); at.After(last) {
		return last
	}
	return at
}

// inUse are the names of a certificate that cover one of the wanted.
func inUse(c *certificate, wanted []string) (names []string) {
	for _, name := range c.names {
		if slices.ContainsFunc(wanted, func(w string) bool { return covers([]string{name}, w) }) {
			names = append(names, name)
		}
	}
	return names
}
