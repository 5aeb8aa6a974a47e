package snapshot

import "github.com/pergola-mesh/pergola/config/dynamic"

// lookStreams shows the objects of TCP and UDP.
func (s *Snapshot) lookStreams(v *View) {
	v.TCPRouters, v.TCPServices = map[string]*TCPRouterView{}, map[string]*TCPServiceView{}
	v.UDPRouters, v.UDPServices = map[string]*UDPRouterView{}, map[string]*UDPServiceView{}
	ofMiddleware, ofService, ofUDPService := users{}, users{}, users{}
	for name, o := range s.shown[aTCPRouter] {
		config, _ := o.config.(*dynamic.TCPRouter)
		if config != nil {
			_, provider := split(name)
			shown := *config
			shown.Middlewares = addQualified(nil, config.Middlewares, provider)
			if len(shown.EntryPoints) == 0 {
				shown.EntryPoints = o.using
			}
			config = &shown
			ofMiddleware.add(name, config.Middlewares...)
			ofService.add(name, config.Service)
		}
		v.TCPRouters[name] = &TCPRouterView{TCPRouter: config, Priority: o.priority, State: o.State, Using: o.using}
	}
	v.TCPMiddlewares = s.lookMiddlewares(aTCPMiddleware, ofMiddleware)
	for name, o := range s.shown[aTCPService] {
		config, _ := o.config.(*dynamic.TCPService)
		v.TCPServices[name] = &TCPServiceView{TCPService: config, State: o.State, UsedBy: ofService.sorted(name), ServerStatus: o.status}
	}
	for name, o := range s.shown[aUDPRouter] {
		config, _ := o.config.(*dynamic.UDPRouter)
		if config != nil {
			shown := *config
			if len(shown.EntryPoints) == 0 {
				shown.EntryPoints = o.using
			}
			config = &shown
			ofUDPService.add(name, config.Service)
		}
		v.UDPRouters[name] = &UDPRouterView{UDPRouter: config, State: o.State, Using: o.using}
	}
	for name, o := range s.shown[aUDPService] {
		config, _ := o.config.(*dynamic.UDPService)
		v.UDPServices[name] = &UDPServiceView{UDPService: config, State: o.State, UsedBy: ofUDPService.sorted(name)}
	}
}
