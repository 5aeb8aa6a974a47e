package fields

import (
	"bytes"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

const requestPseudo = 1<<pseudoMethod | 1<<pseudoScheme | 1<<pseudoAuthority | 1<<pseudoPath | 1<<pseudoProtocol

// Request makes r of the section, whose memory r's header fields then are. ended says that there is no
// body: the section was the end of the stream. Body, Proto and Scheme, which is not the client's to
// choose, are the caller's to set. RFC 9113 §8.3.1, RFC 9114 §4.3.1.
//
// A request to change protocol (an extended CONNECT, RFC 8441 §4) becomes a GET with Upgrade set, as it
// is in HTTP/1.1. The caller refuses it if it has not offered that, and gives a WebSocket its key.
//
// The error is a *Rule: the stream is to be answered with its kind or reset.
func (b *Block) Request(r *exchange.Request, ended bool) error {
	var s scan
	if rule := b.walk(&r.Header, &s, requestPseudo); rule != nil {
		return rule
	}
	if rule := b.requestLine(r, &s); rule != nil {
		return rule
	}
	if rule := requestHost(r, &s); rule != nil {
		return rule
	}
	switch {
	case r.Upgrade != nil:
		r.Length = 0
		if ended || s.length >= 0 {
			return RuleLengthBody // what follows is the tunnel
		}
	case !ended:
		r.Length = s.length
	case s.length > 0:
		return RuleLengthBody
	default:
		r.Length = 0
	}
	if s.unmet { // in all else it means one thing: the client is told
		return RuleExpect
	}
	r.Continue = s.expect && r.Length != 0
	return nil
}

// requestLine takes method, scheme and path.
func (b *Block) requestLine(r *exchange.Request, s *scan) *Rule {
	method, scheme, path := s.pseudo[pseudoMethod], s.pseudo[pseudoScheme], s.pseudo[pseudoPath]
	if method == nil {
		return RulePseudoMissing
	}
	if !Token(method) {
		return RuleMethod
	}
	r.Method = exchange.Method(method)
	protocol := s.pseudo[pseudoProtocol]
	if r.Method == "CONNECT" && protocol == nil {
		if scheme != nil || path != nil {
			return RulePseudoExcess
		}
		return RuleConnect
	}
	if protocol != nil {
		if r.Method != "CONNECT" {
			return RulePseudoExcess
		}
		if !Token(protocol) {
			return RuleTarget
		}
		r.Method, r.Upgrade = "GET", protocol
	}
	if scheme == nil || path == nil {
		return RulePseudoMissing
	}
	if !exchange.EqualFold(scheme, "http") && !exchange.EqualFold(scheme, "https") {
		return RuleScheme
	}
	if b.lim.TargetBytes > 0 && len(path) > b.lim.TargetBytes {
		return RuleTargetLong
	}
	return requestPath(r, path)
}

// requestPath takes ":path". RFC 9113 §8.3.1.
func requestPath(r *exchange.Request, path []byte) *Rule {
	if rule := CheckTarget(path); rule != nil {
		return rule
	}
	r.Target = path
	if len(path) == 1 && path[0] == '*' && r.Method == "OPTIONS" {
		r.Path = path
		return nil
	}
	if len(path) == 0 || path[0] != '/' {
		return RuleTarget
	}
	if i := bytes.IndexByte(path, '?'); i >= 0 {
		r.Query, r.HasQuery = path[i+1:], true
		path = path[:i:i]
	}
	r.Path = path
	return nil
}

// requestHost settles the authority: ":authority", or Host, which must not say otherwise.
// RFC 9113 §8.3.1.
func requestHost(r *exchange.Request, s *scan) *Rule {
	r.Host = s.pseudo[pseudoAuthority]
	switch {
	case r.Host == nil && s.host == nil:
		return RuleHostMissing
	case r.Host == nil:
		r.Host = s.host
	case s.host != nil && !exchange.EqualFold(r.Host, s.host):
		return RuleHostDiffers
	}
	if !ValidHost(r.Host) {
		return RuleHostInvalid
	}
	return nil
}
