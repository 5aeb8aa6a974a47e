package api

import (
	"bytes"
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"flag"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/config/static"
	"github.com/pergola-mesh/pergola/internal/certtest"
	"github.com/pergola-mesh/pergola/proxy/snapshot"
)

var update = flag.Bool("update", false, "write the answers that come out into testdata")

// running is a configuration with something of everything in it.
func running() *snapshot.View {
	enabled := snapshot.State{Status: snapshot.Enabled}
	broken := snapshot.State{}
	broken.Add(`the service "gone@file" does not exist`, true)
	warned := snapshot.State{Status: snapshot.Enabled}
	warned.Add(`entryPoint "nowhere" doesn't exist`, false)
	web := &static.EntryPoint{}
	web.SetDefaults()
	web.Address = ":80"
	return &snapshot.View{
		Routers: map[string]*snapshot.RouterView{
			"web@file": {Router: &dynamic.Router{EntryPoints: []string{"web", "nowhere"}, Rule: "Host(`a.example`)", Service: "web",
				Middlewares: []string{"auth", "strip@other"}}, Priority: 17, State: warned, Using: []string{"web"}},
			"broken@file": {Router: &dynamic.Router{Rule: "Path(`/b`)", Service: "gone", Priority: 7}, Priority: 7, State: broken},
			"secure@other": {Router: &dynamic.Router{Rule: "Host(`b.example`)", Service: "web@file", TLS: &dynamic.RouterTLS{}},
				Priority: 17, State: enabled, Using: []string{"web"}},
			"api@internal":   {Router: &dynamic.Router{Rule: "PathPrefix(`/api`)", Service: "api@internal"}, Priority: 9223372036854775806, State: enabled, Using: []string{"traefik"}},
			"undecoded@file": {State: broken},
			"a/b@file":       {Router: &dynamic.Router{Rule: "Path(`/ab`)", Service: "web"}, Priority: 11, State: enabled},
		},
		Services: map[string]*snapshot.ServiceView{
			"web@file": {Service: &dynamic.Service{LoadBalancer: &dynamic.LoadBalancer{
				Servers: []dynamic.Server{{URL: "http://user:pw@10.0.0.1:80"}, {URL: "http://10.0.0.2:80"}}, PassHostHeader: new(true),
				HealthCheck: &dynamic.ServerHealthCheck{Path: "/health", Headers: map[string]string{"Authorization": "Bearer abc", "X-A": "b"}}}},
				State: enabled, UsedBy: []string{"a/b@file", "secure@other", "web@file"},
				ServerStatus: func() map[string]string {
					return map[string]string{"http://user:pw@10.0.0.1:80": "UP", "http://10.0.0.2:80": "DOWN"}
				}},
			"split@file":   {Service: &dynamic.Service{Weighted: &dynamic.Weighted{Services: []dynamic.WeightedService{{Name: "web", Weight: new(3)}}}}, State: enabled},
			"api@internal": {State: enabled, UsedBy: []string{"api@internal"}},
		},
		Middlewares: map[string]*snapshot.MiddlewareView{
			"auth@file": {Middleware: &dynamic.Middleware{Kind: "basicAuth", Config: map[string]any{
				"users": []any{"alice:$2y$05$abc"}, "realm": "r"}}, State: enabled, UsedBy: []string{"web@file"}},
			"strip@other": {Middleware: &dynamic.Middleware{Kind: "stripPrefix", Config: map[string]any{"prefixes": []any{"/a"}}}, State: enabled},
			"bad@file":    {Middleware: &dynamic.Middleware{Kind: "addPrefx"}, State: broken},
		},
		TCPRouters: map[string]*snapshot.TCPRouterView{
			"db@file": {TCPRouter: &dynamic.TCPRouter{Rule: "HostSNI(`*`)", Service: "db"}, Priority: -1, State: enabled, Using: []string{"db"}}},
		TCPServices: map[string]*snapshot.TCPServiceView{
			"db@file": {TCPService: &dynamic.TCPService{LoadBalancer: &dynamic.TCPLoadBalancer{Servers: []dynamic.TCPServer{{Address: "10.0.0.3:5432"}}}},
				State: enabled, UsedBy: []string{"db@file"}}},
		TCPMiddlewares: map[string]*snapshot.MiddlewareView{
			"few@file": {Middleware: &dynamic.Middleware{Kind: "inFlightConn", Config: map[string]any{"amount": int64(3)}}, State: enabled}},
		UDPRouters: map[string]*snapshot.UDPRouterView{
			"dns@file": {UDPRouter: &dynamic.UDPRouter{EntryPoints: []string{"dns"}, Service: "dns"}, State: enabled, Using: []string{"dns"}}},
		UDPServices: map[string]*snapshot.UDPServiceView{
			"dns@file": {UDPService: &dynamic.UDPService{LoadBalancer: &dynamic.UDPLoadBalancer{Servers: []dynamic.UDPServer{{Address: "10.0.0.4:53"}}}}, State: enabled}},
		EntryPoints: map[string]*static.EntryPoint{"web": web},
		Providers:   []string{"File"},
		Features:    snapshot.Features{Metrics: "Prometheus", AccessLog: true},
		Problems: []dynamic.Problem{
			{Source: "/etc/pergola/a.yaml", Line: 7, Object: "http.routers.broken", Key: "service", Message: `the service "gone@file" does not exist`}},
	}
}

func options(view *snapshot.View) Options {
	return Options{
		View: func() *snapshot.View { return view }, BasePath: "/", Dashboard: true,
		Version: Version{Version: "1.2.3", Codename: "rose", StartDate: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), DisableDashboardAd: true},
	}
}

// get asks h as a local tool does.
func get(h http.Handler, target string, change ...func(r *http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", target, nil)
	r.Host = "localhost:8080"
	local := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080}
	r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(local)))
	for _, c := range change {
		c(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// TestTranscripts asks for what the files of testdata are named after.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	h := New(options(running()))
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range archive.Files {
			got := transcript(get(h, f.Name))
			if *update {
				archive.Files[i].Data = got
			} else if !bytes.Equal(got, f.Data) {
				t.Errorf("%s: %s: got\n%s\nwant\n%s", file, f.Name, got, f.Data)
			}
		}
		if *update {
			if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func transcript(w *httptest.ResponseRecorder) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%d %s", w.Code, w.Header().Get("Content-Type"))
	if next := w.Header().Get("X-Next-Page"); next != "" {
		fmt.Fprintf(&b, " X-Next-Page: %s", next)
	}
	b.WriteByte('\n')
	if json.Indent(&b, w.Body.Bytes(), "", "  ") != nil {
		b.Write(w.Body.Bytes())
	}
	return b.Bytes()
}

func TestPages(t *testing.T) {
	view := &snapshot.View{Routers: map[string]*snapshot.RouterView{}}
	for i := range 250 {
		view.Routers[fmt.Sprintf("r%03d@file", i)] = &snapshot.RouterView{Router: &dynamic.Router{}}
	}
	h := New(options(view))
	for _, test := range []struct {
		query, first, next string
		n, status          int
	}{
		{"", "r000@file", "2", 100, 200},
		{"?page=3", "r200@file", "1", 50, 200},
		{"?page=2&per_page=125", "r125@file", "1", 125, 200},
		{"?per_page=1000", "r000@file", "1", 250, 200},
		{"?direction=desc&per_page=1", "r249@file", "2", 1, 200},
		{"?page=4", "", "", 0, 400},
		{"?page=0", "", "", 0, 400},
		{"?per_page=-1", "", "", 0, 400},
		{"?page=x", "", "", 0, 400},
		{"?page=9223372036854775807&per_page=9223372036854775807", "", "", 0, 400},
		{"?per_page=9223372036854775807", "r000@file", "1", 250, 200},
	} {
		w := get(h, "/api/http/routers"+test.query)
		var shown []struct{ Name string }
		if w.Code == 200 {
			if err := json.Unmarshal(w.Body.Bytes(), &shown); err != nil {
				t.Fatal(err)
			}
		}
		if w.Code != test.status || len(shown) != test.n || w.Header().Get("X-Next-Page") != test.next || test.n > 0 && shown[0].Name != test.first {
			t.Errorf("%s: %d with %d routers, next %q", test.query, w.Code, len(shown), w.Header().Get("X-Next-Page"))
		}
	}
}

func TestBasePath(t *testing.T) {
	o := options(running())
	o.BasePath, o.Debug = "/gw/", true
	h := New(o)
	for path, want := range map[string]int{
		"/gw/api/version": 200, "/api/version": 404, "/gw/dashboard/": 200, "/gw/": 302, "/gw": 302, "/": 404,
		"/gw/debug/vars": 200, "/gw/debug/pprof/cmdline": 200, "/debug/vars": 404, "/gw/api/": 404, "/gw/api/http/routers/": 404,
	} {
		if w := get(h, path); w.Code != want {
			t.Errorf("%s: %d, want %d", path, w.Code, want)
		}
	}
	if to := get(h, "/gw").Header().Get("Location"); to != "/gw/dashboard/" {
		t.Errorf("redirected to %q", to)
	}
}

func TestDebugAndDashboardAreOffUnlessAskedFor(t *testing.T) {
	h := New(Options{View: func() *snapshot.View { return nil }})
	for _, path := range []string{"/debug/vars", "/debug/pprof/", "/debug/pprof/heap", "/dashboard/", "/"} {
		if w := get(h, path); w.Code != 404 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	if w := get(h, "/api/http/routers"); w.Code != 200 || w.Body.String() != "[]\n" {
		t.Errorf("without a configuration: %d %s", w.Code, w.Body)
	}
}

func newCertificate(name string, end time.Time) *x509.Certificate {
	return certtest.SelfSigned([]string{name, "alt." + name}, func(c *x509.Certificate) {
		c.SerialNumber, c.Subject, c.NotAfter = big.NewInt(7), pkix.Name{CommonName: name, Organization: []string{"Org"}}, end
		c.IsCA, c.NotBefore = false, end.Add(-120*24*time.Hour)
	}).Leaf
}

func newIdentity(id string, from time.Time, life time.Duration) *x509.Certificate {
	return certtest.SelfSigned(nil, func(c *x509.Certificate) {
		uri, _ := url.Parse(id)
		c.URIs, c.Subject, c.NotBefore, c.NotAfter = []*url.URL{uri}, pkix.Name{}, from, from.Add(life)
	}).Leaf
}

func TestCertificates(t *testing.T) {
	now := time.Now()
	all := []Certificate{{newCertificate("b.example", now.Add(90*24*time.Hour)), OfACME, "le"},
		{newCertificate("a.example", now.Add(24*time.Hour)), OfConfiguration, ""}, {newCertificate("c.example", now.Add(-time.Minute)), OfConfiguration, ""},
		{newIdentity("spiffe://example.org/gateway", now, time.Hour), OfSPIFFE, ""}}
	o := options(running())
	o.Certificates = func() []Certificate { return all }
	h := New(o)
	var shown []shownCertificate
	list := func(query string) string {
		shown = nil
		if err := json.Unmarshal(get(h, "/api/certificates"+query).Body.Bytes(), &shown); err != nil {
			t.Fatal(err)
		}
		var s []string
		for _, c := range shown {
			s = append(s, c.CommonName+" "+string(c.Status))
		}
		return strings.Join(s, ", ")
	}
	for query, want := range map[string]string{
		"":                   " enabled, a.example warning, b.example enabled, c.example expired",
		"?sortBy=validUntil": "c.example expired,  enabled, a.example warning, b.example enabled",
		"?search=org/gate":   " enabled",
		"?status=expired":    "c.example expired",
		"?search=ALT.b":      "b.example enabled",
	} {
		if got := list(query); got != want {
			t.Errorf("%q: %s, want %s", query, got, want)
		}
	}
	list("?search=alt.b")
	if c := shown[0]; c.KeyType != "ECDSA" || c.KeySize != 256 || c.Version != "v3" || c.SerialNumber != "7" || len(c.SANs) != 2 {
		t.Errorf("%+v", c)
	}
	one := get(h, "/api/certificates/"+fingerprint(all[0].Raw))
	if one.Code != 200 || !strings.Contains(one.Body.String(), `"commonName":"b.example"`) {
		t.Errorf("%d %s", one.Code, one.Body)
	}
	if !strings.Contains(one.Body.String(), `"origin":"acme","resolver":"le"`) {
		t.Error(one.Body)
	}
	identity := get(h, "/api/certificates/"+fingerprint(all[3].Raw))
	if text := identity.Body.String(); !strings.Contains(text, `"sans":["spiffe://example.org/gateway"]`) || !strings.Contains(text, `"origin":"spiffe"`) || strings.Contains(text, "resolver") {
		t.Error(text)
	}
	for left, want := range map[time.Duration]snapshot.Status{20 * time.Minute: snapshot.Enabled, 10 * time.Minute: snapshot.Warning} {
		if got := certificateStatus(newIdentity("spiffe://example.org/gateway", now.Add(left-time.Hour), time.Hour)); got != want {
			t.Errorf("%s before its end, an hour's identity is %s, want %s", left, got, want)
		}
	}
	if w := get(h, "/api/overview"); !strings.Contains(w.Body.String(), `"certificates":{"total":4,"warnings":1,"errors":1}`) {
		t.Error(w.Body)
	}
}
