package snapshot

import (
	"strings"

	"github.com/pergola-mesh/pergola/config/dynamic"
)

// kind is a sort of object that has a name and that others refer to.
type kind uint8

const (
	aRouter kind = iota
	aService
	aMiddleware
	aTransport
	aTLSOptions
	aTLSStore
	aCertificate
	aTCPRouter
	aTCPService
	aTCPMiddleware
	aTCPTransport
	aUDPRouter
	aUDPService
	// No objects, but what objects are made of beside their configuration: see files.go and spiffe.go.
	aFile
	anIdentity
	kindCount
)

var kinds = [kindCount]struct{ name, section string }{
	aRouter:     {"router", "http.routers"},
	aService:    {"service", "http.services"},
	aMiddleware: {"middleware", "http.middlewares"},
	aTransport:  {"serversTransport", "http.serversTransports"},
	aTLSOptions: {"tls options", "tls.options"},
	aTLSStore:   {"tls store", "tls.stores"},
	// Certificates have no name of their own: see certificatesOf.
	aCertificate:   {"certificate", "tls.certificates"},
	aTCPRouter:     {"tcp router", "tcp.routers"},
	aTCPService:    {"tcp service", "tcp.services"},
	aTCPMiddleware: {"tcp middleware", "tcp.middlewares"},
	aTCPTransport:  {"tcp serversTransport", "tcp.serversTransports"},
	aUDPRouter:     {"udp router", "udp.routers"},
	aUDPService:    {"udp service", "udp.services"},
	aFile:          {"file", ""},
	anIdentity:     {"identity", ""},
}

// isOutside reports whether a kind is of what objects are made of, and of no objects.
func (k kind) isOutside() bool { return k >= aFile }

// String is the kind as it reads in a message.
func (k kind) String() string { return kinds[k].name }

// id is what an object is found by: its kind and its qualified name.
type id struct {
	kind kind
	name string // such as "web@file"
}

// String reads "router web@file".
func (i id) String() string { return i.kind.String() + " " + i.name }

// local is the name without its provider.
func (i id) local() string {
	name, _ := split(i.name)
	return name
}

// provider is what stands behind the @.
func (i id) provider() string {
	_, provider := split(i.name)
	return provider
}

// place is where the provider's configuration has the object, such as "http.routers.web".
func (i id) place() string {
	if i.kind == aCertificate {
		return dynamic.ListPlace(kinds[i.kind].section, i.local())
	}
	return kinds[i.kind].section + "." + i.local()
}

// split cuts a qualified name at its last @.
func split(name string) (local, provider string) {
	if at := strings.LastIndexByte(name, '@'); at >= 0 {
		return name[:at], name[at+1:]
	}
	return name, ""
}

// qualify gives the name in a reference its provider: the one of whoever refers, unless it says.
func qualify(name, provider string) string {
	if strings.Contains(name, "@") {
		return name
	}
	return name + "@" + provider
}

// parsePlace is the inverse of id.place.
func parsePlace(place, provider string) (id, bool) {
	for k := range aFile {
		name, ok := strings.CutPrefix(place, kinds[k].section)
		if !ok || name == "" {
			continue
		}
		if k == aCertificate {
			name, ok = strings.CutPrefix(strings.TrimSuffix(name, "]"), "[")
		} else {
			name, ok = strings.CutPrefix(name, ".")
		}
		if ok {
			return id{k, name + "@" + provider}, true
		}
	}
	return id{}, false
}

// sectionKinds are the kinds of object in a section, such as "http" or "http.routers".
func sectionKinds(place string) (all []kind) {
	for k := range aFile {
		if place != "" && (kinds[k].section == place || strings.HasPrefix(kinds[k].section, place+".")) {
			all = append(all, k)
		}
	}
	return all
}
