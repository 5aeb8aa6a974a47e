package file

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pergola-mesh/pergola/config/dynamic"
)

// merger puts the files together. They come in sorted order, and the first to declare a name has it, even
// when it is in error there.
type merger struct {
	dynamic.Update
	from      map[string]string // object to the file that declares it
	certified map[string]bool   // certificates by what is said of them
	file      *file
}

func merge(files map[string]*file, problems []dynamic.Problem) dynamic.Update {
	m := merger{from: map[string]string{}, certified: map[string]bool{}}
	m.Update = dynamic.Update{
		Provider: Name, Config: &dynamic.Configuration{}, Places: map[string]dynamic.Place{}, Problems: problems,
	}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		m.file = files[path]
		if m.file.fault != nil {
			m.Problems = append(m.Problems, *m.file.fault)
		}
		good := m.file.good
		m.Problems = append(m.Problems, good.Problems...)
		switch {
		case good.Config == nil:
		case len(files) == 1: // nothing to put together
			m.Config, m.Places, m.Salvaged = good.Config, good.Places, good.Salvaged
		default:
			m.declare()
			m.config(good.Config)
		}
	}
	return m.Update
}

// declare takes in what the file declares. Certificates may be declared again: see certificates.
func (m *merger) declare() {
	good := m.file.good
	for _, id := range slices.Sorted(maps.Keys(good.Places)) {
		place := good.Places[id]
		if first, taken := m.from[id]; taken {
			if !strings.HasPrefix(id, "tls.certificates[") {
				m.Problems = append(m.Problems, dynamic.Problem{
					Source: place.Source, Line: place.Line, Object: id,
					Message: "is declared in " + first + " too, and that one is used; rename one of them",
				})
			}
			continue
		}
		m.from[id], m.Places[id] = m.file.path, place
		if r := good.Salvaged[id]; r != nil {
			if m.Salvaged == nil {
				m.Salvaged = map[string]any{}
			}
			m.Salvaged[id] = r
		}
	}
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
		m.certificates(&out.Certificates, in.Certificates)
		put(m, "tls.options.", &out.Options, in.Options)
		put(m, "tls.stores.", &out.Stores, in.Stores)
	}
}

// certificates adds those of a file. The same one may be in several.
func (m *merger) certificates(into *[]*dynamic.CertAndStores, list []*dynamic.CertAndStores) {
	for _, c := range list {
		if content := fmt.Sprintf("%q", *c); !m.certified[content] {
			m.certified[content] = true
			*into = append(*into, c)
		}
	}
}

func section[T any](s **T) *T {
	if *s == nil {
		*s = new(T)
	}
	return *s
}

// put adds the objects of one kind that the file has.
func put[T any](m *merger, kind string, into *map[string]*T, objects map[string]*T) {
	if *into == nil {
		*into = make(map[string]*T, len(objects))
	}
	for name, object := range objects {
		if m.from[kind+name] == m.file.path {
			(*into)[name] = object
		}
	}
}
