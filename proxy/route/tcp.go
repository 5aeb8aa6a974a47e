package route

import (
	"errors"
	"net/netip"
)

// Stream is what rules of TCP look at.
type Stream struct {
	// ServerName is what a client of TLS asks for, in lower case and without a dot at its end; empty
	// when it asks for none, and without TLS.
	ServerName string
	// Protocols are those it offers, in ALPN.
	Protocols []string
	Client    netip.Addr
}

// ParseTCP reads a rule in the TCP rule grammar of Traefik v3: the matchers ALPN, ClientIP, HostSNI and
// HostSNIRegexp, written as those of Parse. Wildcards in HostSNI are as in Host; HostSNI(`*`) takes
// connections without a name, and without TLS, too.
//
// Errors are *SyntaxError.
func ParseTCP(rule string) (*Rule, error) { return tcpGrammar.parse(rule) }

// tcpGrammar is that of TCP rules.
var tcpGrammar = grammar{
	matchers: []signature{
		{"ALPN", 1, 1},
		{"ClientIP", 1, 1},
		{"HostSNI", 1, 1},
		{"HostSNIRegexp", 1, 1},
	},
	atom:     tcpAtom,
	catchAll: func(matcher string, args []string) bool { return matcher == "HostSNI" && args[0] == "*" },
}

// acmeALPN is the protocol of ACME's challenge, which is the gateway's own. RFC 8737 §6.2.
const acmeALPN = "acme-tls/1"

// tcpAtom is the grammar's atom.
func tcpAtom(name string, args []string) (a *atom, warning string, err error) {
	switch name {
	case "HostSNI":
		if args[0] == "*" {
			return &atom{key: key{kind: anything}}, "", nil
		}
		return httpAtom("Host", args)
	case "HostSNIRegexp":
		return httpAtom("HostRegexp", args)
	case "ALPN":
		if args[0] == acmeALPN {
			return nil, "", errors.New(acmeALPN + " is for the challenges of certificate authorities, and not for routers")
		}
		return &atom{key: key{kind: alpn, text: args[0]}}, "", nil
	}
	return httpAtom(name, args)
}

// MatchStream is Match for a table whose rules are of TCP.
func (t *Table) MatchStream(stream *Stream) *Entry {
	s := search{view: view{stream: stream, fullHost: []byte(stream.ServerName)}}
	s.host = s.fullHost
	s.all(t)
	if s.found == nil {
		return nil
	}
	return &s.found.Entry
}
