//go:build linux

package integration

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pergola-mesh/pergola/integration/harness"
)

// A guarded route in front of an open one, and the ways in which each of its objects is edited into an error.
const (
	adminRouter  = "{rule: PathPrefix(~/admin~), service: admin, middlewares: [auth]}"
	authMiddle   = `{basicAuth: {users: ["test:$apr1$H6uskkkW$IgXLP6ewTrSuBkTrqE8wj/"]}}` // test:test
	adminService = "{loadBalancer: {servers: [{url: $GUARDED}]}}"
)

var brokenEdits = []struct{ what, good, bad string }{
	{"a key of the router", adminRouter, "{rule: PathPrefix(~/admin~), service: admin, middlwares: [auth]}"},
	{"a rule that does not parse", adminRouter, "{rule: PathPrefix(~/admin~, service: admin, middlewares: [auth]}"},
	{"a middleware that is not there", adminRouter, "{rule: PathPrefix(~/admin~), service: admin, middlewares: [aut]}"},
	{"a service that is not there", adminRouter, "{rule: PathPrefix(~/admin~), service: amdin, middlewares: [auth]}"},
	{"a router that is no section", adminRouter, "nonsense"},
	{"a password that is not hashed", authMiddle, `{basicAuth: {users: ["test:test"]}}`},
	{"a key of the middleware", authMiddle, `{basicAuth: {user: ["test:x"]}}`},
	{"a kind of middleware that does not exist", authMiddle, `{basicAut: {users: ["test:x"]}}`},
	{"a middleware of two kinds", authMiddle, `{basicAuth: {users: ["test:x"]}, addPrefix: {prefix: /x}}`},
	{"a server that is no URL", adminService, "{loadBalancer: {servers: [{url: 'ftp://nowhere'}]}}"},
	{"a key of the service", adminService, "{loadBalancer: {server: [{url: $GUARDED}]}}"},
	{"a service of no kind", adminService, "{}"},
}

// TestBrokenEditsUnderLoad edits one object after the other into an error while requests go on. None of
// them gets in without the password, and none with it is refused or reaches another service.
func TestBrokenEditsUnderLoad(t *testing.T) {
	rest := harness.Whoami(t, "rest")
	g := harness.Start(t, oneBackend, harness.Vars{"BACKEND": rest, "GUARDED": harness.Whoami(t, "admin")})
	config := func(n int) string {
		return generation(n, rest) + "    admin: " + adminService + "\n    rest: {loadBalancer: {servers: [{url: " + rest + "}]}}\n"
	}
	in := strings.NewReplacer("  middlewares:\n", "  middlewares:\n    auth: "+authMiddle+"\n",
		"  routers:\n", "  routers:\n    admin: "+adminRouter+"\n    rest: {rule: PathPrefix(~/~), service: rest}\n")
	write := func(n int, good, bad string) {
		t.Helper()
		text := in.Replace(config(n))
		if good != "" && strings.Count(text, good) != 1 {
			t.Fatalf("%q is not in the file once", good)
		}
		g.Write("dynamic/edited.yaml", strings.Replace(text, good, bad, 1))
		awaitGeneration(t, g, n)
	}
	write(0, "", "")

	var count atomic.Int64
	load := harness.NewLoad(t, 4, func() *http.Request {
		r, err := http.NewRequest("GET", "http://"+g.Web+"/admin", nil)
		if err != nil {
			panic(err) // the URL is the test's own
		}
		if count.Add(1)%2 == 0 {
			r.SetBasicAuth("test", "test")
		}
		return r
	}, func(response *http.Response, body []byte) error {
		_, _, allowed := response.Request.BasicAuth()
		switch {
		case !allowed && response.StatusCode != 401:
			return fmt.Errorf("without a password: %s: %.200s", response.Status, body)
		case allowed && (response.StatusCode != 200 || !strings.Contains(string(body), "Name: admin")):
			return fmt.Errorf("with the password: %s: %.200s", response.Status, body)
		}
		return nil
	})
	for i, e := range brokenEdits {
		write(2*i+1, e.good, e.bad)
		if !strings.Contains(g.Log(), "stays in force") {
			t.Errorf("%s: nothing in the log says that the last good version stays", e.what)
		}
		if i%2 == 0 { // from one error into the next, or mended in between
			write(2*i+2, "", "")
		}
	}
	load.MustNotFail(t, 200)
}
