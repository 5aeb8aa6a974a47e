package api

import (
	"strings"

	"github.com/pergola-mesh/pergola/proxy/snapshot"
)

// middleware describes a middleware, of HTTP or TCP.
func middleware(name string, m *snapshot.MiddlewareView) item {
	i := item{name: name, provider: providerOf(name), status: m.Status, search: []string{name}}
	if m.Middleware != nil {
		i.kind = strings.ToLower(m.Kind)
	}
	i.show = func() any {
		shown := showMiddleware(m)
		shown["name"], shown["provider"], shown["type"] = name, i.provider, i.kind
		return shown
	}
	return i
}

// showMiddleware puts a middleware's configuration under its kind, as it is written.
func showMiddleware(m *snapshot.MiddlewareView) map[string]any {
	shown := map[string]any{}
	if m.Middleware != nil {
		config, _ := hideSecrets(m.Config).(map[string]any)
		if config == nil {
			config = map[string]any{}
		}
		shown[m.Kind] = config
	}
	if len(m.Errors) > 0 {
		shown["error"] = m.Errors
	}
	if m.Status != "" {
		shown["status"] = m.Status
	}
	if len(m.UsedBy) > 0 {
		shown["usedBy"] = m.UsedBy
	}
	return shown
}
