// Package dynamic is the dynamic configuration as data: what providers say should be.
//
// Keys and meanings are those of Traefik v3. The package holds no behaviour: providers fill it,
// the snapshot builder reads it.
package dynamic

import "strconv"

// Update is all that one provider wants at one moment.
//
// An update is complete: an object that is missing has been removed. Objects are immutable once
// sent, and an object that did not change since the provider's last update should be the same
// pointer, so that the builder can tell by comparing pointers what changed.
type Update struct {
	// Provider is the name behind the @ in "name@provider".
	Provider string
	// Config is the provider's whole configuration. Names in it are unqualified.
	Config *Configuration
	// Places tells where each object was declared, by object ("http.routers.web"), for messages about
	// it. It may be nil or lack objects, and it changes without the objects changing.
	Places map[string]Place
	// Problems are the objects (or whole files) that could not be decoded. The rest stands.
	Problems []Problem
	// Salvaged holds, by object, what can be read of routers that are in error, such as a *TCPRouter: their
	// rule and where it applies. No such router is in Config. It lets what one was meant for be told from the
	// rest.
	Salvaged map[string]any
}

// Place is where something was written.
type Place struct {
	// Source is a file path, a Kubernetes object, a Consul key, "env NAME" or "flag --name".
	Source string
	// Line in Source, counted from 1; 0 when unknown.
	Line int
}

// ListPlace is the place of an object of a kind that is written as a list, such as
// "tls.certificates[a.pem]".
func ListPlace(kind, name string) string { return kind + "[" + name + "]" }

// String renders the place as "source:line", or "default" when there is none.
func (p Place) String() string {
	switch {
	case p.Source == "":
		return "default"
	case p.Line > 0:
		return p.Source + ":" + strconv.Itoa(p.Line)
	default:
		return p.Source
	}
}

// Problem is one thing wrong with one object: it fails alone, never its file or provider.
type Problem struct {
	// Source is where the object was declared: a file path, a Kubernetes object, a Consul key.
	Source string
	// Object is the object's place, such as "http.routers.web", or that of a section that is none, such as
	// "http.routers"; empty when the whole source failed.
	Object string
	// Key is the offending key inside it, such as "loadBalancer.servers[0].url"; may be empty.
	Key string
	// Message says what is wrong and how to mend it.
	Message string
	// Line in Source, counted from 1; 0 when unknown.
	Line int
}

// String renders the problem as "source:line: object.key: message".
func (p Problem) String() string {
	s := p.Source
	if p.Line > 0 {
		s += ":" + strconv.Itoa(p.Line)
	}
	place := p.Object
	if p.Key != "" {
		if place != "" && p.Key[0] != '[' {
			place += "."
		}
		place += p.Key
	}
	if place != "" {
		if s != "" {
			s += ": "
		}
		s += place
	}
	if s != "" {
		s += ": "
	}
	return s + p.Message
}
