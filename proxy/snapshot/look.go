package snapshot

import (
	"slices"

	"github.com/pergola-mesh/pergola/config/dynamic"
)

// look makes the View.
func (s *Snapshot) look() *View {
	v := &View{
		Routers:     make(map[string]*RouterView, len(s.shown[aRouter])),
		Services:    make(map[string]*ServiceView, len(s.shown[aService])),
		EntryPoints: s.options.EntryPoints, Providers: s.options.Providers, Features: s.options.Features,
		Problems: s.problems,
	}
	ofMiddleware, ofService := users{}, users{}
	for name, o := range s.shown[aRouter] {
		config, _ := o.config.(*dynamic.Router)
		if config != nil {
			config = s.inForce(name, config, o.using)
			ofMiddleware.add(name, config.Middlewares...)
			ofService.add(name, config.Service)
		}
		v.Routers[name] = &RouterView{Router: config, Priority: o.priority, State: o.State, Using: o.using}
	}
	v.Middlewares = s.lookMiddlewares(aMiddleware, ofMiddleware)
	for name, o := range s.shown[aService] {
		config, _ := o.config.(*dynamic.Service)
		v.Services[name] = &ServiceView{Service: config, State: o.State, UsedBy: ofService.sorted(name), ServerStatus: o.status}
	}
	s.lookStreams(v)
	return v
}

// lookMiddlewares shows those of one kind.
func (s *Snapshot) lookMiddlewares(k kind, used users) map[string]*MiddlewareView {
	all := make(map[string]*MiddlewareView, len(s.shown[k]))
	for name, o := range s.shown[k] {
		config, _ := o.config.(*dynamic.Middleware)
		all[name] = &MiddlewareView{Middleware: config, State: o.State, UsedBy: used.sorted(name)}
	}
	return all
}

// inForce is a router as it works: on the entry points that it does not name, with their middlewares before its
// own, and under their TLS. Middlewares have their provider, for whoever reads the API follows the names.
func (s *Snapshot) inForce(name string, config *dynamic.Router, using []string) *dynamic.Router {
	_, provider := split(name)
	shown := *config
	shown.Middlewares = nil
	if len(shown.EntryPoints) == 0 {
		shown.EntryPoints = using
	}
	for _, p := range s.points {
		if slices.Contains(using, p.name) {
			shown.Middlewares = addQualified(shown.Middlewares, p.middlewares, provider)
			if shown.TLS == nil && len(using) == 1 {
				shown.TLS = p.tls
			}
		}
	}
	shown.Middlewares = addQualified(shown.Middlewares, config.Middlewares, provider)
	return &shown
}

// addQualified appends names with their provider. One that is there already is not added: it is on several
// entry points.
func addQualified(to, names []string, provider string) []string {
	for _, name := range names {
		if name = qualify(name, provider); !slices.Contains(to, name) {
			to = append(to, name)
		}
	}
	return to
}

// users are the routers that name an object of one kind, by the object's qualified name.
type users map[string][]string

// add notes the names that a router gives.
func (u users) add(router string, names ...string) {
	_, provider := split(router)
	for _, name := range names {
		name = qualify(name, provider)
		u[name] = append(u[name], router)
	}
}

// sorted are those of one object.
func (u users) sorted(name string) []string {
	slices.Sort(u[name])
	return u[name]
}
