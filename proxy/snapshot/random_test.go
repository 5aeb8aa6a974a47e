package snapshot

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"testing"

	"github.com/pergola-mesh/pergola/config/dynamic"
)

// world makes random configurations of a few names, so that they often refer to each other, to what
// does not exist, and back to themselves.
type world struct{ *rand.Rand }

func (w world) pick(list ...string) string { return list[w.IntN(len(list))] }

// name is a reference to one of few objects of either provider.
func (w world) name(prefix string) string {
	return fmt.Sprintf("%s%d%s", prefix, w.IntN(5), w.pick("", "", "", "@one", "@two"))
}

func (w world) names(prefix string) []string {
	var names []string
	for range w.IntN(7) / 4 {
		names = append(names, w.name(prefix))
	}
	return names
}

func (w world) router() *dynamic.Router {
	r := &dynamic.Router{
		Rule: w.pick("PathPrefix(`/`)", "Path(`/a`)", "Path(`/b`)", "PathPrefix(`/a`)", "PathPrefix(`/a`) && Method(`GET`)",
			"Host(`a.example`)", "Path(`/a`", "Host(`a.example:80`)"),
		Service: w.name("s"), Middlewares: w.names("m"), Priority: w.IntN(3) * 10,
	}
	switch w.IntN(12) {
	case 0:
		r.EntryPoints = []string{"web", "gone"}
	case 1:
		r.EntryPoints = []string{"gone"}
	case 2:
		r.EntryPoints = []string{"other"}
	case 3:
		r.EntryPoints = []string{"other", "web"}
	case 4:
		r.RuleSyntax = "v2"
	case 5:
		r.Priority = maxPriority + 1
	case 6:
		r.Service = ""
	}
	return r
}

func (w world) service() *dynamic.Service {
	s := &dynamic.Service{}
	if w.IntN(4) == 0 {
		s.Middlewares = w.names("m")
	}
	switch w.IntN(8) {
	case 0:
		s.Weighted = &dynamic.Weighted{Services: []dynamic.WeightedService{
			{Name: w.name("s")}, {Name: w.name("s"), Weight: new(0)}, {Name: w.name("s"), Weight: new(0)},
		}}
	case 1:
		s.Mirroring = &dynamic.Mirroring{Service: w.name("s"), Mirrors: []dynamic.MirrorService{{Name: w.name("s")}}}
	case 2:
		s.Failover = &dynamic.Failover{Service: w.name("s"), Fallback: w.name("s"), Errors: &dynamic.FailoverErrors{Status: []string{"500"}}}
	case 3:
		s.LoadBalancer = &dynamic.LoadBalancer{Servers: []dynamic.Server{{URL: w.pick("ftp://10.0.0.1", "h2c://10.0.0.1", "http://")}}}
	default:
		s.LoadBalancer = &dynamic.LoadBalancer{
			Servers:          []dynamic.Server{{URL: fmt.Sprintf("http://10.0.0.%d", w.IntN(20))}},
			ServersTransport: w.pick("", "", "", w.name("t")),
		}
	}
	return s
}

func (w world) middleware() *dynamic.Middleware {
	switch w.IntN(8) {
	case 0, 1:
		return &dynamic.Middleware{Kind: "chain", Config: map[string]any{"middlewares": []any{w.name("m"), w.name("m")}}}
	case 2:
		return &dynamic.Middleware{Kind: "addPrefix", Config: map[string]any{}}
	}
	return &dynamic.Middleware{Kind: "addPrefix", Config: map[string]any{"prefix": fmt.Sprintf("/%d", w.IntN(9))}}
}

func (w world) transport() *dynamic.ServersTransport {
	t := &dynamic.ServersTransport{MaxIdleConnsPerHost: w.IntN(3)}
	if w.IntN(3) == 0 {
		t.RootCAs = []string{"gone.pem"}
	}
	return t
}

// mutate changes a few objects of a section: some are new, some go, some are the same in other memory.
func mutate[T any](w world, section map[string]*T, prefix string, fresh func() *T) map[string]*T {
	section = maps.Clone(section)
	if section == nil {
		section = map[string]*T{}
	}
	for range w.IntN(3) {
		name := fmt.Sprintf("%s%d", prefix, w.IntN(5))
		switch was := section[name]; {
		case was != nil && w.IntN(3) == 0:
			delete(section, name)
		case was != nil && w.IntN(3) == 0:
			same := *was
			section[name] = &same
		default:
			section[name] = fresh()
		}
	}
	return section
}

// next is a provider's update after the one it sent last.
func (w world) next(provider string, was dynamic.Update) dynamic.Update {
	before := httpOf(was.Config)
	http := &dynamic.HTTPConfiguration{
		Routers:           mutate(w, before.Routers, "r", w.router),
		Services:          mutate(w, before.Services, "s", w.service),
		Middlewares:       mutate(w, before.Middlewares, "m", w.middleware),
		ServersTransports: mutate(w, before.ServersTransports, "t", w.transport),
	}
	u := dynamic.Update{Provider: provider, Config: &dynamic.Configuration{HTTP: http}}
	if w.IntN(3) == 0 { // an object that cannot be read
		section, name := w.pick("http.routers.r", "http.services.s", "http.middlewares.m", "tcp.routers.r"), w.IntN(5)
		u.Problems = []dynamic.Problem{{Source: provider, Object: fmt.Sprintf("%s%d", section, name), Message: "is nonsense"}}
	}
	return u
}

// Whatever updates led to it, a snapshot is the one that the providers' last words make from scratch; or,
// where objects keep their last good version, the one that these versions would.
func TestHistoryDoesNotMatter(t *testing.T) {
	entryPoints := func(o *Options) {
		o.EntryPoints = parseEntryPoints("web asDefault\nother asDefault m0@one")
		o.Precedence = []string{"two"}
	}
	exact, kept := 0, 0
	for seed := range uint64(60) {
		w := world{rand.New(rand.NewPCG(seed, 1))}
		f := newFixture(t, entryPoints)
		said := map[string]dynamic.Update{}
		for step := range 25 {
			provider := w.pick("one", "two")
			said[provider] = w.next(provider, said[provider])
			f.apply(said[provider])

			scratch := newFixture(t, entryPoints)
			for _, u := range said {
				scratch.apply(f.inForce(u))
			}
			got, want := f.answers(), scratch.answers()
			kept += f.report.Kept
			if len(f.former()) == 0 {
				exact++
				got, want = dump(f.builder.Snapshot().View())+got, dump(scratch.builder.Snapshot().View())+want
				// An object in error may still ask for what its last good version needs.
				if got, want := len(f.builder.graph.nodes), len(scratch.builder.graph.nodes); got != want && !f.remembers() {
					t.Fatalf("seed %d, step %d: %d nodes after all updates, %d from scratch", seed, step, got, want)
				}
			} else { // circles that versions out of force are in may be told of
				got, want = causes.ReplaceAllString(got, "$1"), causes.ReplaceAllString(want, "$1")
			}
			if got != want {
				t.Fatalf("seed %d, step %d: after all updates\n%s\nfrom scratch\n%s", seed, step, got, want)
			}
			if got, want := f.pools.list(), scratch.pools.list(); !slices.Equal(got, want) {
				t.Fatalf("seed %d, step %d: pools open after all updates: %q, from scratch %q", seed, step, got, want)
			}
		}
		for provider := range said {
			f.apply(dynamic.Update{Provider: provider, Config: &dynamic.Configuration{}})
		}
		if open := f.pools.list(); len(open) > 0 {
			t.Fatalf("seed %d: pools are open with no service left: %q", seed, open)
		}
		if got, want := len(f.builder.graph.nodes), len(newFixture(t, entryPoints).builder.graph.nodes); got != want {
			t.Fatalf("seed %d: %d nodes with nothing left, %d before anything was there", seed, got, want)
		}
	}
	if exact < 100 || kept < 100 {
		t.Errorf("%d steps kept nothing and %d objects were kept: too few to show anything", exact, kept)
	}
}

// causes is what an answer says of why there is none.
var causes = regexp.MustCompile(`( => 50\d, \S+, \w+): .*`)

// former are the nodes of which a version before the newest counts.
func (f *fixture) former() (nodes []*node) {
	for _, n := range f.builder.graph.nodes {
		if n.shown != nil && n.good != nil && n.good != n.config && n.shown.config == n.good {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// remembers reports whether the last good version of any node is another than the newest.
func (f *fixture) remembers() bool {
	for _, n := range f.builder.graph.nodes {
		if n.good != nil && n.good != n.config {
			return true
		}
	}
	return false
}

// inForce is an update with what is in force of it.
func (f *fixture) inForce(u dynamic.Update) dynamic.Update {
	http := *httpOf(u.Config)
	http.Routers, http.Services = maps.Clone(http.Routers), maps.Clone(http.Services)
	http.Middlewares, http.ServersTransports = maps.Clone(http.Middlewares), maps.Clone(http.ServersTransports)
	for _, n := range f.former() {
		if n.provider() != u.Provider {
			continue
		}
		switch good := n.good.(type) {
		case *dynamic.Router:
			http.Routers[n.local()] = good
		case *dynamic.Service:
			http.Services[n.local()] = good
		case *dynamic.Middleware:
			http.Middlewares[n.local()] = good
		case *dynamic.ServersTransport:
			http.ServersTransports[n.local()] = good
		}
	}
	u.Config = &dynamic.Configuration{HTTP: &http}
	return u
}

// answers is what becomes of some requests.
func (f *fixture) answers() (text string) {
	for _, point := range []string{"web", "other"} {
		for _, method := range []string{"GET", "POST"} {
			for _, url := range []string{"http://a.example/", "http://b.example/a", "http://b.example/b", "http://a.example/a/c"} {
				text += fmt.Sprintf("%s %s %s => %s\n", point, method, url, ask(f.live.Handler(point), method, url))
			}
		}
	}
	return text
}
