// Package api answers /api with what the gateway is running, in the shapes of Traefik v3's API.
//
// It only reads. A browser on another site can neither read nor trigger anything through it.
package api

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/pergola-mesh/pergola/proxy/snapshot"
)

// Options are what the API shows and to whom.
type Options struct {
	// View returns the running configuration. It is called once a request.
	View func() *snapshot.View
	// Certificates returns the certificates in use; nil when there are none.
	Certificates func() []Certificate
	// Connections returns the connections of TCP routers that are open, or the sessions of UDP routers, by
	// "tcp" or "udp"; nil when there are none.
	Connections func(protocol string) []Connection
	// Static is the static configuration, which JSON can have.
	Static  any
	Version Version
	// BasePath is what comes before /api, "/" for nothing.
	BasePath string
	// Hosts are the names, without ports, that a request may use on a loopback connection besides
	// loopback's own; "*" allows any. They keep a site whose name was made to point here from reading.
	Hosts []string
	// Debug serves /debug/vars and /debug/pprof.
	Debug bool
	// Dashboard serves /dashboard/.
	Dashboard bool
}

// Version is what /api/version tells.
type Version struct {
	Version            string    `json:"Version"`
	Codename           string    `json:"Codename"`
	StartDate          time.Time `json:"startDate"`
	DisableDashboardAd bool      `json:"disableDashboardAd,omitempty"`
	DashboardName      string    `json:"dashboardName,omitempty"`
	Commit             string    `json:"commit,omitempty"`
	BuildDate          string    `json:"buildDate,omitempty"`
}

// New returns the handler of /api, and of /debug and /dashboard if they are on.
func New(o Options) http.Handler {
	a := &api{options: o, base: strings.TrimSuffix(o.BasePath, "/"), debug: newDebug()}
	return a.guard(http.HandlerFunc(a.serve))
}

type api struct {
	options Options
	base    string // without a slash at the end
	debug   http.Handler
}

// serve answers a request that the guard let through.
func (a *api) serve(w http.ResponseWriter, r *http.Request) {
	path, ok := strings.CutPrefix(r.URL.EscapedPath(), a.base)
	switch {
	case !ok:
	case strings.HasPrefix(path, "/api/"):
		a.serveAPI(w, r, path[len("/api/"):])
		return
	case strings.HasPrefix(path, "/debug/") && a.options.Debug:
		http.StripPrefix(a.base, a.debug).ServeHTTP(w, r)
		return
	case path == "/dashboard/" && a.options.Dashboard:
		a.serveDashboard(w)
		return
	case (path == "/" || path == "" || path == "/dashboard") && a.options.Dashboard:
		http.Redirect(w, r, a.base+"/dashboard/", http.StatusFound)
		return
	}
	writeError(w, http.StatusNotFound, "no such page: "+r.URL.Path)
}

// serveAPI answers for a path below /api/, percent-encoded.
func (a *api) serveAPI(w http.ResponseWriter, r *http.Request, path string) {
	now := a.now()
	switch path {
	case "version":
		writeJSON(w, a.options.Version)
		return
	case "overview":
		writeJSON(w, newOverview(now))
		return
	case "rawdata":
		writeJSON(w, newRawData(now.View))
		return
	case "problems":
		writeJSON(w, newProblems(now.View))
		return
	case "support-dump":
		a.serveSupportDump(w, now)
		return
	}
	for _, s := range sections {
		name, below := strings.CutPrefix(path, s.path+"/")
		switch {
		case path == s.path:
			s.serveList(w, r.URL.Query(), now)
			return
		case below && name != "":
			s.serveOne(w, name, now)
			return
		}
	}
	writeError(w, http.StatusNotFound, "no such page: "+r.URL.Path)
}

func (a *api) now() *state {
	s := &state{View: a.options.View(), connections: a.options.Connections}
	if s.View == nil {
		s.View = &snapshot.View{}
	}
	if a.options.Certificates != nil {
		s.certificates = a.options.Certificates()
	}
	return s
}

func writeJSON(w http.ResponseWriter, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		writeError(w, http.StatusInternalServerError, err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(append(body, '\n'))
}

func writeError(w http.ResponseWriter, status int, message string) {
	body, _ := json.Marshal(struct {
		Message string `json:"message"`
	}{message})
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(body, '\n'))
}
