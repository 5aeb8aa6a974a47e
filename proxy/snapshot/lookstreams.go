package snapshot

import (
	"slices"

	"github.com/pergola-mesh/pergola/config/dynamic"
)

// lookStreams shows the objects of TCP and UDP.
func (s *Snapshot) lookStreams(v *View) {
	v.TCPRouters, v.TCPServices = map[string]*TCPRouterView{}, map[string]*TCPServiceView{}
	v.TCPMiddlewares = map[string]*MiddlewareView{}
	v.UDPRouters, v.UDPServices = map[string]*UDPRouterView{}, map[string]*UDPServiceView{}
	for name, o := range s.shown[aTCPMiddleware] {
		config, _ := o.config.(*dynamic.Middleware)
		v.TCPMiddlewares[name] = &MiddlewareView{Middleware: config, State: o.State}
	}
	for name, o := range s.shown[aTCPService] {
		config, _ := o.config.(*dynamic.TCPService)
		v.TCPServices[name] = &TCPServiceView{TCPService: config, State: o.State, ServerStatus: o.status}
	}
	for name, o := range s.shown[aUDPService] {
		config, _ := o.config.(*dynamic.UDPService)
		v.UDPServices[name] = &UDPServiceView{UDPService: config, State: o.State}
	}
	for name, o := range s.shown[aTCPRouter] {
		config, _ := o.config.(*dynamic.TCPRouter)
		view := &TCPRouterView{TCPRouter: config, Priority: o.priority, State: o.State, Using: o.using}
		v.TCPRouters[name] = view
		if config == nil {
			continue
		}
		_, provider := split(name)
		shown := *config
		shown.Middlewares = addQualified(nil, config.Middlewares, provider)
		if len(shown.EntryPoints) == 0 {
			shown.EntryPoints = o.using
		}
		view.TCPRouter = &shown
		for _, middleware := range shown.Middlewares {
			if m := v.TCPMiddlewares[middleware]; m != nil {
				m.UsedBy = append(m.UsedBy, name)
			}
		}
		if service := v.TCPServices[qualify(config.Service, provider)]; service != nil {
			service.UsedBy = append(service.UsedBy, name)
		}
	}
	for name, o := range s.shown[aUDPRouter] {
		config, _ := o.config.(*dynamic.UDPRouter)
		view := &UDPRouterView{UDPRouter: config, State: o.State, Using: o.using}
		v.UDPRouters[name] = view
		if config == nil {
			continue
		}
		if len(config.EntryPoints) == 0 {
			shown := *config
			shown.EntryPoints, view.UDPRouter = o.using, &shown
		}
		_, provider := split(name)
		if service := v.UDPServices[qualify(config.Service, provider)]; service != nil {
			service.UsedBy = append(service.UsedBy, name)
		}
	}
	for _, m := range v.TCPMiddlewares {
		slices.Sort(m.UsedBy)
	}
	for _, service := range v.TCPServices {
		slices.Sort(service.UsedBy)
	}
	for _, service := range v.UDPServices {
		slices.Sort(service.UsedBy)
	}
}
