package api

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// guard refuses what no dashboard or tool of the operator sends: methods that change things, and
// requests that a page of another site had a browser make.
func (a *api) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		switch {
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			h.Set("Allow", "GET, HEAD")
			writeError(w, http.StatusMethodNotAllowed, "the API only answers GET and HEAD")
		case !a.knownHost(r):
			writeError(w, http.StatusForbidden, "on loopback the API answers to localhost and loopback addresses only: add the name to api.hosts if this came by a proxy or tunnel of yours")
		case foreign(r):
			writeError(w, http.StatusForbidden, "the API does not answer pages of other sites")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// knownHost says whether the request was meant for us. On a loopback connection any site can make a
// browser come here, by pointing its own name at 127.0.0.1; the Host gives it away.
func (a *api) knownHost(r *http.Request) bool {
	if !onLoopback(r) || slices.Contains(a.options.Hosts, "*") {
		return true
	}
	host := strings.TrimSuffix(hostname(r.Host), ".")
	if strings.EqualFold(host, "localhost") || len(host) > 10 && strings.EqualFold(host[len(host)-10:], ".localhost") {
		return true
	}
	if address, err := netip.ParseAddr(host); err == nil {
		return address.Unmap().IsLoopback()
	}
	return slices.ContainsFunc(a.options.Hosts, func(known string) bool { return strings.EqualFold(known, host) })
}

// onLoopback says whether the connection came in on a loopback address, or on we do not know what.
func onLoopback(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return true
	}
	address, err := netip.ParseAddrPort(local.String())
	return err != nil || address.Addr().Unmap().IsLoopback()
}

// foreign says whether a page of another site is behind the request. Following a link is not: what
// it answers is for the person, not for the page.
func foreign(r *http.Request) bool {
	if r.Header.Get("Sec-Fetch-Site") == "cross-site" && r.Header.Get("Sec-Fetch-Mode") != "navigate" {
		return true
	}
	origins := r.Header.Values("Origin")
	for _, origin := range origins {
		u, err := url.Parse(origin)
		if err != nil || !strings.EqualFold(u.Host, r.Host) {
			return true
		}
	}
	return false
}

func hostname(host string) string { return (&url.URL{Host: host}).Hostname() }
