package api

import (
	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/proxy/snapshot"
)

// overview is what /api/overview tells: how many of what there are, and how they fare.
type overview struct {
	HTTP         scheme            `json:"http"`
	TCP          scheme            `json:"tcp"`
	UDP          scheme            `json:"udp"`
	Certificates *tally            `json:"certificates,omitempty"`
	Features     snapshot.Features `json:"features"`
	Providers    []string          `json:"providers,omitempty"`
}

type scheme struct {
	Routers     *tally `json:"routers,omitempty"`
	Services    *tally `json:"services,omitempty"`
	Middlewares *tally `json:"middlewares,omitempty"`
}

type tally struct {
	Total    int `json:"total"`
	Warnings int `json:"warnings"`
	Errors   int `json:"errors"`
}

func newOverview(v *state) overview {
	o := overview{
		HTTP:     scheme{count(v.Routers, routerStatus), count(v.Services, serviceStatus), count(v.Middlewares, middlewareStatus)},
		TCP:      scheme{count(v.TCPRouters, tcpRouterStatus), count(v.TCPServices, tcpServiceStatus), count(v.TCPMiddlewares, middlewareStatus)},
		UDP:      scheme{Routers: count(v.UDPRouters, udpRouterStatus), Services: count(v.UDPServices, udpServiceStatus)},
		Features: v.Features, Providers: v.Providers,
	}
	if v.certificates != nil {
		o.Certificates = &tally{Total: len(v.certificates)}
		for _, c := range v.certificates {
			switch certificateStatus(c.Certificate) {
			case certificateExpired:
				o.Certificates.Errors++
			case snapshot.Warning:
				o.Certificates.Warnings++
			}
		}
	}
	return o
}

func routerStatus(r *snapshot.RouterView) snapshot.Status         { return r.Status }
func serviceStatus(s *snapshot.ServiceView) snapshot.Status       { return s.Status }
func middlewareStatus(m *snapshot.MiddlewareView) snapshot.Status { return m.Status }
func tcpRouterStatus(r *snapshot.TCPRouterView) snapshot.Status   { return r.Status }
func tcpServiceStatus(s *snapshot.TCPServiceView) snapshot.Status { return s.Status }
func udpRouterStatus(r *snapshot.UDPRouterView) snapshot.Status   { return r.Status }
func udpServiceStatus(s *snapshot.UDPServiceView) snapshot.Status { return s.Status }

func count[V any](all map[string]V, status func(V) snapshot.Status) *tally {
	t := &tally{Total: len(all)}
	for _, v := range all {
		switch status(v) {
		case snapshot.Disabled:
			t.Errors++
		case snapshot.Warning:
			t.Warnings++
		}
	}
	return t
}

// rawData is the whole view, with the parts that are shown otherwise than they are kept.
type rawData struct {
	*snapshot.View
	Middlewares    map[string]map[string]any  `json:"middlewares,omitempty"`
	Services       map[string]shownService    `json:"services,omitempty"`
	TCPMiddlewares map[string]map[string]any  `json:"tcpMiddlewares,omitempty"`
	TCPServices    map[string]shownTCPService `json:"tcpServices,omitempty"`
}

func newRawData(v *snapshot.View) rawData {
	raw := rawData{
		View: v, Middlewares: map[string]map[string]any{}, TCPMiddlewares: map[string]map[string]any{},
		Services: map[string]shownService{}, TCPServices: map[string]shownTCPService{},
	}
	for name, m := range v.Middlewares {
		raw.Middlewares[name] = showMiddleware(m)
	}
	for name, m := range v.TCPMiddlewares {
		raw.TCPMiddlewares[name] = showMiddleware(m)
	}
	for name, s := range v.Services {
		raw.Services[name] = showService(s)
	}
	for name, s := range v.TCPServices {
		raw.TCPServices[name] = shownTCPService{TCPServiceView: s, ServerStatus: serverStatus(s.ServerStatus)}
	}
	return raw
}

// problem is one thing that is wrong with the configuration, and where.
type problem struct {
	Source  string `json:"source,omitempty"`
	Line    int    `json:"line,omitempty"`
	Object  string `json:"object,omitempty"`
	Key     string `json:"key,omitempty"`
	Message string `json:"message"`
}

func newProblems(v *snapshot.View) []problem {
	shown := []problem{}
	for _, p := range v.Problems {
		shown = append(shown, newProblem(p))
	}
	return shown
}

func newProblem(p dynamic.Problem) problem {
	return problem{Source: p.Source, Line: p.Line, Object: p.Object, Key: p.Key, Message: p.Message}
}
