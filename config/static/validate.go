package static

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/config/load"
)

// validate notes every value that is of the right type and still wrong.
func (l *Loaded) validate() {
	c := l.Config
	l.negatives()
	l.oneOf("core.defaultRuleSyntax", &c.Core.DefaultRuleSyntax, "v3")
	l.entryPoints()
	l.providers()
	l.admin()
	l.logs()
	l.ocsp()
	l.spiffe()
	l.resolvers()
	l.restart()
}

// restart bounds the path of a Unix socket: the kernel takes 104 to 108 bytes, of which a process needs some
// for the name that it binds before it renames.
func (l *Loaded) restart() {
	const longest = 90
	if n := len(l.Config.Restart.Socket); n > longest {
		l.problem("restart.socket", "has %d bytes; the path of a Unix socket is short: at most %d here", n, longest)
	}
}

// problem notes what is wrong with a key.
func (l *Loaded) problem(key, format string, args ...any) {
	if slices.ContainsFunc(l.Problems, func(p dynamic.Problem) bool { return p.Key == key }) {
		return // it could not even be decoded
	}
	l.Problems = append(l.Problems, l.complaint(key, fmt.Sprintf(format, args...)))
}

// complaint is what is said of a key, at the place of the key or of the section it is in.
func (l *Loaded) complaint(key, message string) dynamic.Problem {
	place := load.Place{}
	for k := strings.ToLower(key); k != "" && place.Source == ""; {
		place = l.places[k]
		k = k[:max(0, strings.LastIndexAny(k, ".["))]
	}
	if place.Source == "" {
		place.Source = l.File
	}
	return dynamic.Problem{Source: place.Source, Line: place.Line, Key: key, Message: message}
}

// oneOf checks that a value is one of the words that are allowed, in any case, and gives it the case that they have
// here: whoever reads it compares bytes.
func (l *Loaded) oneOf(key string, value *string, allowed ...string) {
	i := slices.IndexFunc(allowed, func(a string) bool { return strings.EqualFold(a, *value) })
	if i < 0 {
		l.problem(key, "is %q; it must be one of %s", *value, strings.Join(allowed, ", "))
		return
	}
	*value = allowed[i]
}

// mayBeNegative are the numbers below zero that mean something.
var mayBeNegative = regexp.MustCompile(`(?i)^serversTransport\.maxIdleConnsPerHost$|^tcpServersTransport\.(terminationDelay|dialKeepAlive)$|\.redirections\.entryPoint\.priority$`)

func (l *Loaded) negatives() {
	for _, k := range load.Values(l.Config) {
		value := strings.Trim(k.Value, `"`)
		if (k.Type == "integer" || k.Type == "duration" || k.Type == "number") && strings.HasPrefix(value, "-") && !mayBeNegative.MatchString(k.Path) {
			l.problem(k.Path, "is %s; it must not be negative", value)
		}
	}
}

func (l *Loaded) entryPoints() {
	eps := l.Config.EntryPoints
	var taken places
	for _, name := range slices.Sorted(maps.Keys(eps)) {
		e, key := eps[name], "entryPoints."+name
		l.address(key+".address", e)
		l.taken(key, name, e, &taken)
		if p := e.ProxyProtocol; p != nil {
			l.ranges(key+".proxyProtocol.trustedIPs", p.TrustedIPs)
			if !p.Insecure && len(p.TrustedIPs) == 0 {
				l.problem(key+".proxyProtocol", "trusts nobody; list trustedIPs, or set insecure in tests")
			}
		}
		l.ranges(key+".forwardedHeaders.trustedIPs", e.ForwardedHeaders.TrustedIPs)
		l.oneOf(key+".http.underscoreHeadersStrategy", &e.HTTP.UnderscoreHeadersStrategy, "keep", "delete", "reject")
		l.oneOf(key+".observability.traceVerbosity", &e.Observability.TraceVerbosity, "minimal", "detailed")
		l.positive(key+".http.maxHeaderBytes", e.HTTP.MaxHeaderBytes)
		l.positive(key+".http.maxHeaderFields", e.HTTP.MaxHeaderFields)
		l.positive(key+".http.maxTargetBytes", e.HTTP.MaxTargetBytes)
		l.positive(key+".http2.maxConcurrentStreams", e.HTTP2.MaxConcurrentStreams)
		l.positive(key+".http2.maxDecoderHeaderTableSize", e.HTTP2.MaxDecoderHeaderTableSize)
		l.positive(key+".http2.maxEncoderHeaderTableSize", e.HTTP2.MaxEncoderHeaderTableSize)
		if e.Protocol() == "udp" {
			l.positive(key+".udp.timeout", int(e.UDP.Timeout))
		}
		l.http3(key+".http3", e)
		l.startTLS(key, e)
		l.transports(key, e)
		l.redirection(name, e)
	}
}

func (l *Loaded) http3(key string, e *EntryPoint) {
	if e.HTTP3 == nil {
		return
	}
	if e.HTTP3.AdvertisedPort > 65535 {
		l.problem(key+".advertisedPort", "is %d; it must be a number from 0 to 65535", e.HTTP3.AdvertisedPort)
	}
}

func (l *Loaded) positive(key string, n int) {
	if n == 0 {
		l.problem(key, "is 0; it must be above that")
	}
}

func (l *Loaded) address(key string, e *EntryPoint) {
	if e.Address == "" {
		l.problem(key, "is missing; it is [host]:port, such as :80")
		return
	}
	switch e.Protocol() {
	case "tcp", "udp":
	default:
		l.problem(key, "is %s; the protocol must be tcp or udp", e.Address)
	}
	host, port, err := net.SplitHostPort(e.ListenAddress())
	if err != nil {
		l.problem(key, "is %q; it must be [host]:port, such as :80", e.Address)
		return
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		l.problem(key, "has the port %q; it must be a number from 0 to 65535", port)
	}
	if strings.ContainsAny(host, " /") {
		l.problem(key, "has the host %q, which is neither an address nor a name", host)
	}
}

func (l *Loaded) ranges(key string, list []string) {
	for i, s := range list {
		_, addrErr := netip.ParseAddr(s)
		_, prefixErr := netip.ParsePrefix(s)
		if addrErr != nil && prefixErr != nil {
			l.problem(fmt.Sprintf("%s[%d]", key, i), "is %q; it must be an address or a CIDR range, such as 10.0.0.0/8", s)
		}
	}
}

func (l *Loaded) redirection(name string, e *EntryPoint) {
	if e.HTTP.Redirections == nil || e.HTTP.Redirections.EntryPoint == nil {
		return
	}
	r, key := e.HTTP.Redirections.EntryPoint, "entryPoints."+name+".http.redirections.entryPoint"
	l.oneOf(key+".scheme", &r.Scheme, "http", "https")
	if port, ok := strings.CutPrefix(r.To, ":"); ok {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			l.problem(key+".to", "is %q, which is not a port", r.To)
		}
		return
	}
	switch {
	case r.To == "":
		l.problem(key+".to", "is missing; it names an entry point, or is :port")
	case r.To == name:
		l.problem(key+".to", "is the entry point itself")
	default:
		l.entryPoint(key+".to", r.To)
	}
}

// entryPoint checks that a name is that of an entry point for HTTP.
func (l *Loaded) entryPoint(key, name string) {
	eps := l.Config.EntryPoints
	if e := eps[name]; e != nil {
		switch {
		case e.StartTLS != nil:
			l.problem(key, "is %q, which does not speak HTTP: it has startTLS", name)
		case e.Protocol() == "udp":
			l.problem(key, "is %q, which does not speak HTTP: it is for UDP", name)
		}
		return
	}
	names := slices.Sorted(maps.Keys(eps))
	if near := load.Nearest(name, names); near != "" {
		l.problem(key, "is %q, which is no entry point; did you mean %s?", name, near)
		return
	}
	l.problem(key, "is %q, which is no entry point; there are %s", name, strings.Join(names, ", "))
}
