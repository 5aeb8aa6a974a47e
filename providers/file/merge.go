package file

import (
	"maps"
	"slices"

	"github.com/pergola-mesh/pergola/config/dynamic"
)

// merger puts the files together. They come in sorted order, and the first to declare a name has it.
type merger struct {
	dynamic.Update
	from map[string]string // object to the file that declares it
	file *file
}

func merge(files map[string]*file, problems []dynamic.Problem) dynamic.Update {
	m := merger{from: map[string]string{}}
	m.Update = dynamic.Update{
		Provider: Name, Config: &dynamic.Configuration{}, Places: map[string]dynamic.Place{}, Problems: problems,
	}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		m.file = files[path]
		if good := m.file.good; len(files) == 1 && good.Config != nil { // nothing to put together
			m.Config, m.Places = good.Config, good.Places
		}
		if m.file.fault != nil {
			m.Problems = append(m.Problems, *m.file.fault)
		}
		m.Problems = append(m.Problems, m.file.good.Problems...)
		m.salvaged(m.file.good.Salvaged)
		if c := m.file.good.Config; c != nil && c != m.Config {
			m.config(c)
		}
	}
	return m.Update
}

func (m *merger) config(c *dynamic.Configuration) {
	if in := c.HTTP; in != nil {
		out := section(&m.Config.HTTP)
		put(m, "http.routers.", &out.Routers, in.Routers)
		put(m, "http.services.", &out.Services, in.Services)
		put(m, "http.middlewares.", &out.Middlewares, in.Middlewares)
		put(m, "http.serversTransports.", &out.ServersTransports, in.ServersTransports)
	}
	if in := c.TCP; in != nil {
		out := section(&m.Config.TCP)
		put(m, "tcp.routers.", &out.Routers, in.Routers)
		put(m, "tcp.services.", &out.Services, in.Services)
		put(m, "tcp.middlewares.", &out.Middlewares, in.Middlewares)
		put(m, "tcp.serversTransports.", &out.ServersTransports, in.ServersTransports)
	}
	if in := c.UDP; in != nil {
		out := section(&m.Config.UDP)
		put(m, "udp.routers.", &out.Routers, in.Routers)
		put(m, "udp.services.", &out.Services, in.Services)
	}
	if in := c.TLS; in != nil {
		out := section(&m.Config.TLS)
		out.Certificates = append(out.Certificates, in.Certificates...)
		put(m, "tls.options.", &out.Options, in.Options)
		put(m, "tls.stores.", &out.Stores, in.Stores)
	}
}

// salvaged adds what is left of a file's routers that are in error.
func (m *merger) salvaged(routers map[string]*dynamic.Router) {
	for name, r := range routers {
		if m.Salvaged == nil {
			m.Salvaged = map[string]*dynamic.Router{}
		}
		if m.Salvaged[name] == nil {
			m.Salvaged[name] = r
		}
	}
}

func section[T any](s **T) *T {
	if *s == nil {
		*s = new(T)
	}
	return *s
}

// put adds the objects of one kind.
func put[T any](m *merger, kind string, into *map[string]*T, objects map[string]*T) {
	if *into == nil {
		*into = make(map[string]*T, len(objects))
	}
	for _, name := range slices.Sorted(maps.Keys(objects)) {
		id := kind + name
		place := m.file.good.Places[id]
		if first, taken := m.from[id]; taken {
			m.Problems = append(m.Problems, dynamic.Problem{
				Source: place.Source, Line: place.Line, Object: id,
				Message: "is declared in " + first + " too, and that one is used; rename one of them",
			})
			continue
		}
		m.from[id] = m.file.path
		m.Places[id] = place
		(*into)[name] = objects[name]
	}
}
