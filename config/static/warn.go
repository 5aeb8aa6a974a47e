package static

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/config/load"
)

// ofUDP are the keys that mean something on an entry point for UDP, or are an error there. Traefik takes the others
// too and says nothing, so that they cannot be errors.
var ofUDP = []string{"address", "reusePort", "limits", "startTLS", "tcp", "transport.lifeCycle", "udp", "observability"}

// vain warns of what is stated and has no effect.
func (l *Loaded) vain() {
	l.vainEntryPoints()
	l.vainRotation("log", l.Config.Log.FilePath, l.Config.Log.Rotation)
	if a := l.Config.AccessLog; a != nil {
		l.vainRotation("accessLog", a.FilePath, a.Rotation)
	}
}

// vainRotation warns of the rotation of a file that a log does not have, or that never is due.
func (l *Loaded) vainRotation(log, file string, r Rotation) {
	for _, s := range []stated{
		{r.MaxSize != 0, "maxSize"}, {r.MaxAge != 0, "maxAge"}, {r.MaxBackups != 0, "maxBackups"}, {r.Compress, "compress"},
	} {
		switch {
		case !s.there:
		case file == "":
			l.warn(log+"."+s.key, "has no effect without filePath: what is written to standard output is not rotated")
		case r.MaxSize == 0:
			l.warn(log+"."+s.key, "has no effect without maxSize, the megabytes after which the file is rotated")
		}
	}
}

// vainEntryPoints warns of what is stated of entry points and has no effect there.
func (l *Loaded) vainEntryPoints() {
	for _, name := range slices.Sorted(maps.Keys(l.Config.EntryPoints)) {
		key, e := "entryPoints."+name, l.Config.EntryPoints[name]
		if e.Protocol() == "udp" {
			l.vainBelow(key, "", name, reflect.TypeFor[EntryPoint]())
			continue
		}
		if l.stated(key + ".udp.timeout") {
			l.warn(key+".udp.timeout", "has no effect: entry point %s is for TCP", name)
		}
		if t := e.HTTP.TLS; t != nil && t.CertResolver == "" && len(t.Domains) > 0 {
			l.warn(key+".http.tls.domains", "has no effect without certResolver, which obtains certificates for them")
		}
	}
}

// vainBelow warns of the keys of a section of an entry point for UDP.
func (l *Loaded) vainBelow(root, section, name string, t reflect.Type) {
	for _, f := range load.Fields(t) {
		key := strings.TrimPrefix(section+"."+f.Name, ".")
		switch {
		case slices.Contains(ofUDP, key) || !l.stated(root+"."+key):
		case slices.ContainsFunc(ofUDP, func(k string) bool { return strings.HasPrefix(k, key+".") }):
			l.vainBelow(root, key, name, f.Type)
		default:
			l.warn(root+"."+key, "has no effect: entry point %s is for UDP", name)
		}
	}
}

// stated tells whether a key, or one in the section that it is, was written.
func (l *Loaded) stated(key string) bool {
	_, ok := l.places[strings.ToLower(key)]
	return ok
}

// warn notes what does no harm and is not what somebody meant.
func (l *Loaded) warn(key, format string, args ...any) {
	l.Warnings = append(l.Warnings, l.complaint(key, fmt.Sprintf(format, args...)))
}

// byPlace orders complaints by where they are.
func byPlace(a, b dynamic.Problem) int {
	return cmp.Or(strings.Compare(a.Source, b.Source), cmp.Compare(a.Line, b.Line))
}
