package static

import "regexp"

// serverVersion is what the versions of MySQL and MariaDB look like. Clients read the numbers.
var serverVersion = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+[!-~]{0,40}$`)

// startTLS checks an entry point that speaks another protocol than HTTP: what is for HTTP alone has no place
// there.
func (l *Loaded) startTLS(key string, e *EntryPoint) {
	s := e.StartTLS
	if s == nil {
		return
	}
	if s.Protocol == "" {
		l.problem(key+".startTLS.protocol", "is missing; it must be mysql")
	} else {
		l.oneOf(key+".startTLS.protocol", &s.Protocol, "mysql")
	}
	if !serverVersion.MatchString(s.ServerVersion) {
		l.problem(key+".startTLS.serverVersion", "is %q; it must be a version such as 8.0.40 or 10.11.6-MariaDB", s.ServerVersion)
	}
	if e.Protocol() == "udp" {
		l.problem(key+".startTLS", "is for an entry point on a TCP address, such as :3306")
	}
	l.misplaced(key, "is for HTTP, which an entry point with startTLS does not speak; give HTTP an entry point of its own",
		stated{e.AsDefault, "asDefault"}, stated{e.AllowACMEByPass, "allowACMEByPass"}, stated{e.HTTP3 != nil, "http3"},
		stated{e.HTTP.TLS != nil, "http.tls"}, stated{e.HTTP.Redirections != nil, "http.redirections"},
		stated{len(e.HTTP.Middlewares) > 0, "http.middlewares"})
}
