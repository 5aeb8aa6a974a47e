package load

import (
	"slices"
	"strings"

	"github.com/pergola-mesh/pergola/config/dynamic"
)

// routers is the kind of object of which parts are of use.
const routers = "http.routers"

// reach are the keys of a router that decide which requests are meant for it. tls does by being there.
var reach = []string{"rule", "ruleSyntax", "entryPoints", "priority", "parentRefs"}

// salvage keeps of a router in error what tells its requests from others, if all of that can be read.
func (v *version) salvage(t *Tree, kind string) {
	if kind != routers || t.Kind != Map {
		return
	}
	part, secure := *t, false
	part.Children = slices.DeleteFunc(slices.Clone(t.Children), func(child *Tree) bool {
		secure = secure || strings.EqualFold(child.Name, "tls")
		return !slices.ContainsFunc(reach, func(key string) bool { return strings.EqualFold(key, child.Name) })
	})
	r := &dynamic.Router{}
	if problems := DecodeTree(&part, r); len(problems) > 0 || r.Rule == "" {
		return
	}
	if secure {
		r.TLS = &dynamic.RouterTLS{}
	}
	if v.Salvaged == nil {
		v.Salvaged = map[string]*dynamic.Router{}
	}
	v.Salvaged[t.Name] = r
}
