package snapshot

import (
	"slices"

	"github.com/pergola-mesh/pergola/config/dynamic"
)

// look makes the View.
func (s *Snapshot) look() *View {
	v := &View{
		Routers:     make(map[string]*RouterView, len(s.shown[aRouter])),
		Middlewares: make(map[string]*MiddlewareView, len(s.shown[aMiddleware])),
		Services:    make(map[string]*ServiceView, len(s.shown[aService])),
		EntryPoints: s.options.EntryPoints, Providers: s.options.Providers, Features: s.options.Features,
		Problems: s.problems,
	}
	for name, o := range s.shown[aMiddleware] {
		config, _ := o.config.(*dynamic.Middleware)
		v.Middlewares[name] = &MiddlewareView{Middleware: config, State: o.State}
	}
	for name, o := range s.shown[aService] {
		config, _ := o.config.(*dynamic.Service)
		v.Services[name] = &ServiceView{Service: config, State: o.State, ServerStatus: o.status}
	}
	for name, o := range s.shown[aRouter] {
		config, _ := o.config.(*dynamic.Router)
		v.Routers[name] = &RouterView{Router: config, Priority: o.priority, State: o.State, Using: o.using}
		if config != nil {
			s.use(v, name, config, o.using)
		}
	}
	for _, m := range v.Middlewares {
		slices.Sort(m.UsedBy)
	}
	for _, service := range v.Services {
		slices.Sort(service.UsedBy)
	}
	s.lookStreams(v)
	return v
}

// use notes a router with the middlewares and the service that it names, and the middlewares of its
// entry points.
func (s *Snapshot) use(v *View, router string, config *dynamic.Router, using []string) {
	_, provider := split(router)
	names := slices.Clone(config.Middlewares)
	for _, p := range s.points {
		if slices.Contains(using, p.name) {
			names = append(names, p.middlewares...)
		}
	}
	for _, name := range names {
		if m := v.Middlewares[qualify(name, provider)]; m != nil && !slices.Contains(m.UsedBy, router) {
			m.UsedBy = append(m.UsedBy, router)
		}
	}
	if service := v.Services[qualify(config.Service, provider)]; service != nil {
		service.UsedBy = append(service.UsedBy, router)
	}
}
