//go:build linux

package integration

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/pergola-mesh/pergola/integration/harness"
)

// TestTraefikConfiguration starts from Traefik v3 configurations, the same in YAML and in TOML, and asks each
// router, service kind and internal service for what it should do.
func TestTraefikConfiguration(t *testing.T) {
	for _, format := range []string{"yaml", "toml"} {
		t.Run(format, func(t *testing.T) {
			archive, err := os.ReadFile("testdata/traefik-v3-" + format + ".txtar")
			if err != nil {
				t.Fatal(err)
			}
			mirrored := make(chan string, 100)
			mirror := harness.Serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				mirrored <- r.Method + " " + r.URL.Path + " " + string(body)
			}))
			sick := harness.Whoami(t, "sick")
			g := harness.Start(t, string(archive), harness.Vars{
				"ONE": harness.Whoami(t, "one"), "TWO": harness.Whoami(t, "two"), "MIRROR": mirror, "SICK": sick,
			})
			g.AwaitHost("host.test", "/", 200)
			checkRouters(t, g)
			checkWeighted(t, g)
			checkSticky(t, g)
			checkFailover(t, g, sick)
			checkInternal(t, g)

			answer(t, g, "POST", "mirrored.test", "/order", "the order", nil)
			if got := harness.Within(t, "the mirrored request", mirrored); got != "POST /order the order" {
				t.Errorf("the mirror received %q", got)
			}
		})
	}
}

// answer sends one request to the entry point and returns the response and its body.
func answer(t *testing.T, g *harness.Gateway, method, host, target, body string, header http.Header) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequest(method, "http://"+g.Web+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Host = host
	for name, values := range header {
		request.Header[name] = values
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(text)
}

func checkRouters(t *testing.T, g *harness.Gateway) {
	t.Helper()
	for _, test := range []struct {
		method, host, target string
		header               http.Header
		backend              string // "" is 404
	}{
		{"GET", "host.test", "/any", nil, "one"},
		{"GET", "HOST.test", "/any", nil, "one"},
		{"GET", "other.test", "/any", nil, ""},
		{"GET", "abc.regexp.test", "/", nil, "one"},
		{"GET", "a1.regexp.test", "/", nil, ""},
		{"GET", "m.test", "/path", nil, "one"},
		{"GET", "m.test", "/path/", nil, ""},
		{"GET", "m.test", "/prefixes/x", nil, "one"},
		{"GET", "m.test", "/re/12", nil, "one"},
		{"GET", "m.test", "/re/x", nil, ""},
		{"OPTIONS", "method.test", "/", nil, "two"},
		{"GET", "method.test", "/", nil, ""},
		{"GET", "m.test", "/", http.Header{"X-Which": {"exact"}}, "two"},
		{"GET", "m.test", "/", http.Header{"X-Which": {"re-1"}}, "two"},
		{"GET", "m.test", "/?which=exact", nil, "two"},
		{"GET", "m.test", "/?which=re-2", nil, "two"},
		{"GET", "m.test", "/?which=other", nil, ""},
		{"GET", "ip.test", "/", nil, ""},
		{"GET", "logic.test", "/b/c", nil, "one"},
		{"GET", "logic.test", "/c", nil, ""},
		{"GET", "logic.test", "/a?no=", nil, ""},
	} {
		response, _ := answer(t, g, test.method, test.host, test.target, "", test.header)
		backend := response.Header.Get("X-Whoami-Name")
		if backend != test.backend || (response.StatusCode == 404) != (backend == "") {
			t.Errorf("%s %s%s %v: %s from %q, want %q",
				test.method, test.host, test.target, test.header, response.Status, backend, test.backend)
		}
	}
	response, body := answer(t, g, "GET", "chain.test", "/api/v1", "", nil)
	if response.Header.Get("X-Stamp") != "yes" || !strings.Contains(body, "GET /v1 HTTP/1.1") ||
		!strings.Contains(body, "X-Forwarded-Prefix: /api") {
		t.Errorf("the chain of middlewares did not do its work: %v\n%s", response.Header, body)
	}
}

func checkWeighted(t *testing.T, g *harness.Gateway) {
	t.Helper()
	count := map[string]int{}
	for range 40 {
		response, _ := answer(t, g, "GET", "weighted.test", "/", "", nil)
		count[response.Header.Get("X-Whoami-Name")]++
	}
	if count["one"] != 30 || count["two"] != 10 {
		t.Errorf("weights 3 and 1 gave %v of 40 requests", count)
	}
}

func checkSticky(t *testing.T, g *harness.Gateway) {
	t.Helper()
	first, _ := answer(t, g, "GET", "sticky.test", "/", "", nil)
	cookies := first.Cookies()
	if len(cookies) != 1 || cookies[0].Name != "lb" || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteStrictMode {
		t.Fatalf("the sticky cookie is %v", cookies)
	}
	for range 10 {
		again, _ := answer(t, g, "GET", "sticky.test", "/", "", http.Header{"Cookie": {cookies[0].Name + "=" + cookies[0].Value}})
		if again.Header.Get("X-Whoami-Name") != first.Header.Get("X-Whoami-Name") {
			t.Error("the session moved to another server")
		}
	}
}

// checkFailover makes the main service sick and well again.
func checkFailover(t *testing.T, g *harness.Gateway, sick string) {
	t.Helper()
	served := func() string {
		response, _ := answer(t, g, "GET", "failover.test", "/", "", nil)
		return response.Header.Get("X-Whoami-Name")
	}
	harness.Eventually(t, "the healthy main service", func() bool { return served() == "sick" })
	setHealth(t, sick, "503")
	harness.Eventually(t, "the fallback", func() bool { return served() == "two" })
	setHealth(t, sick, "200")
	harness.Eventually(t, "the main service's return", func() bool { return served() == "sick" })
}

func setHealth(t *testing.T, backend, status string) {
	t.Helper()
	response, err := http.Post(backend+"/health", "text/plain", strings.NewReader(status))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
}

// checkInternal asks the API, ping and metrics.
func checkInternal(t *testing.T, g *harness.Gateway) {
	t.Helper()
	if body := string(get(t, "http://"+g.Admin+"/ping")); body != "OK" {
		t.Errorf("/ping answers %q", body)
	}
	var router struct {
		Name, Rule, Status, Service, Provider string
		EntryPoints, Using                    []string
		Priority                              int
	}
	if err := json.Unmarshal(get(t, "http://"+g.Admin+"/api/http/routers/logic@file"), &router); err != nil {
		t.Fatal(err)
	}
	if router.Name != "logic@file" || router.Status != "enabled" || router.Provider != "file" || router.Priority != 42 ||
		router.Service != "one" || len(router.Using) != 1 || router.Using[0] != "web" {
		t.Errorf("the API shows the router as %+v", router)
	}
	metrics := string(get(t, "http://"+g.Admin+"/metrics"))
	for _, want := range []string{`pergola_entrypoint_requests_total{`, `router="host@file"`, `service="one@file"`, `le="1.2"`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
}
