package api

import (
	"html/template"
	"net/http"
)

var dashboardPage = template.Must(template.New("dashboard").Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{{.Name}}</title>
<h1>{{.Name}}</h1>
<p>This build has no graphical dashboard. What one would show is here as JSON:</p>
<ul>
{{range .Links}}<li><a href="{{.}}">{{.}}</a></li>
{{end}}</ul>
</html>
`))

// serveDashboard answers with a page of links.
func (a *api) serveDashboard(w http.ResponseWriter) {
	data := struct {
		Name  string
		Links []string
	}{Name: "Pergola"}
	if a.options.Version.DashboardName != "" {
		data.Name = a.options.Version.DashboardName
	}
	for _, path := range []string{"overview", "problems", "version", "rawdata"} {
		data.Links = append(data.Links, a.base+"/api/"+path)
	}
	for _, s := range sections {
		data.Links = append(data.Links, a.base+"/api/"+s.path)
	}
	if a.options.Debug {
		data.Links = append(data.Links, a.base+"/debug/pprof/", a.base+"/debug/vars")
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	dashboardPage.Execute(w, data)
}
