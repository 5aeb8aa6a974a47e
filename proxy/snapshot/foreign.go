package snapshot

import (
	"maps"
	"slices"
	"strings"

	"github.com/pergola-mesh/pergola/config/dynamic"
)

// foreign is an object of a section that this build knows and cannot honour: TCP and UDP.
type foreign struct {
	section, name string // such as "tcp.routers", and the qualified name
	config        any    // nil when it could not be read
	errors        []string
	own           []dynamic.Problem // those that the provider has not reported itself
}

// foreignSections are the sections of foreign objects, with what is missing for each.
var foreignSections = map[string]string{
	"tcp.routers": "TCP routing", "tcp.services": "TCP routing", "tcp.middlewares": "TCP routing",
	"tcp.serversTransports": "TCP routing", "udp.routers": "UDP routing", "udp.services": "UDP routing",
}

// findForeign lists the foreign objects that a provider speaks of, in order.
func (s *source) findForeign(provider string) {
	complaints := map[string][]string{}
	for _, p := range s.problems {
		complaints[p.Object] = append(complaints[p.Object], complaint(p))
	}
	configs := foreignConfigs(s.config)
	for place := range complaints {
		if _, listed := configs[place]; !listed {
			configs[place] = nil
		}
	}
	s.foreign = nil
	for _, place := range slices.Sorted(maps.Keys(configs)) {
		section, name := cutSection(place)
		missing, ok := foreignSections[section]
		if !ok {
			continue
		}
		f := foreign{section: section, name: qualify(name, provider), config: configs[place], errors: complaints[place]}
		if f.errors == nil {
			message := "this build does not have " + missing + " yet; remove it"
			f.errors = []string{message}
			f.own = []dynamic.Problem{s.problem(provider, place, message)}
		}
		s.foreign = append(s.foreign, f)
	}
}

// cutSection splits "tcp.routers.a.b" into "tcp.routers" and "a.b", and takes an index for a name.
func cutSection(place string) (section, name string) {
	i := strings.IndexByte(place, '.') + 1
	j := strings.IndexAny(place[i:], ".[")
	if i == 0 || j < 0 {
		return place, ""
	}
	return place[:i+j], strings.TrimPrefix(place[i+j:], ".")
}

// foreignConfigs are the foreign objects of a configuration by place.
func foreignConfigs(c *dynamic.Configuration) map[string]any {
	all := map[string]any{}
	if c == nil {
		return all
	}
	if tcp := c.TCP; tcp != nil {
		collect(all, "tcp.routers", tcp.Routers)
		collect(all, "tcp.services", tcp.Services)
		collect(all, "tcp.middlewares", tcp.Middlewares)
		collect(all, "tcp.serversTransports", tcp.ServersTransports)
	}
	if udp := c.UDP; udp != nil {
		collect(all, "udp.routers", udp.Routers)
		collect(all, "udp.services", udp.Services)
	}
	return all
}

func collect[T any](all map[string]any, section string, objects map[string]*T) {
	for name, object := range objects {
		if object != nil {
			all[section+"."+name] = object
		}
	}
}
