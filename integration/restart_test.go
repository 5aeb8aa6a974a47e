//go:build linux

package integration

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/integration/harness"
)

var restartable = strings.Replace(oneBackend, "entryPoints:", "restart: {socket: $DIR/restart.sock}\nentryPoints:", 1)

// TestHundredRestarts replaces the gateway a hundred times while new connections keep coming and old
// ones are kept: none is refused, no request fails, and every process ends with status 0.
func TestHundredRestarts(t *testing.T) {
	g := harness.Start(t, restartable, harness.Vars{"BACKEND": harness.Whoami(t, "one")})
	g.AwaitStatus("/", 200)
	fresh := harness.NewLoad(t, 4, func() *http.Request {
		r, _ := http.NewRequest("GET", "http://"+g.Web+"/", nil)
		r.Close = true // a connection for each: a refused or reset one fails the test
		return r
	}, harness.WantStatus(200))
	kept := harness.NewLoad(t, 4, func() *http.Request {
		r, _ := http.NewRequest("POST", "http://"+g.Web+"/", bytes.NewReader(make([]byte, 2000)))
		return r
	}, harness.WantStatus(200))
	const restarts = 100
	all := []*harness.Gateway{g}
	for range restarts {
		all = append(all, all[len(all)-1].Replace())
	}
	fresh.MustNotFail(t, 10*restarts)
	kept.MustNotFail(t, 10*restarts)
	for i, old := range all[:restarts] {
		if code := old.AwaitExit(); code != 0 {
			t.Errorf("process %d ended with status %d:\n%s", i, code, old.Log())
		}
	}
	t.Logf("%d restarts, %d requests on connections of their own, %d on kept ones", restarts, fresh.Done.Load(), kept.Done.Load())
}

// A request in flight is finished by the process that began it; a successor that cannot start changes
// nothing, and one with another configuration takes its own addresses over.
func TestRestartEdges(t *testing.T) {
	begun, finish := make(chan struct{}), make(chan struct{})
	backend := harness.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			begun <- struct{}{}
			<-finish
		}
		w.Write([]byte("complete"))
	}))
	g := harness.Start(t, restartable, harness.Vars{"BACKEND": backend})
	g.AwaitStatus("/", 200)

	// The address of a new entry point is taken: the successor gives up.
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	static, err := os.ReadFile(g.Dir + "/static.yaml")
	if err != nil {
		t.Fatal(err)
	}
	g.Write("static.yaml", strings.Replace(string(static), "entryPoints:", fmt.Sprintf("entryPoints:\n  extra: {address: %q}", taken.Addr()), 1))
	output, code := harness.Command(t, g.Dir, "--configFile=static.yaml")
	if code != 1 || !strings.Contains(output, "entry point extra") || !strings.Contains(output, "another process listens there") {
		t.Errorf("a successor without its address ended with %d:\n%s", code, output)
	}
	g.AwaitStatus("/", 200)
	harness.Eventually(t, "the log to tell", func() bool { return strings.Contains(g.Log(), "serving on") })

	taken.Close()
	slow := harness.Dial(t, g.Web)
	slow.Send("GET /slow HTTP/1.1\nHost: x\n\n")
	harness.Within(t, harness.Patience, "the slow request at the backend", begun)
	next := g.Replace()
	fresh := harness.Dial(t, taken.Addr().String())
	fresh.Send("GET / HTTP/1.1\nHost: x\n\n")
	if response, _ := fresh.Response("GET"); response.StatusCode != 200 {
		t.Errorf("the new entry point answered %s", response.Status)
	}
	close(finish)
	if response, body := slow.Response("GET"); response.StatusCode != 200 || body != "complete" || !response.Close {
		t.Errorf("the request in flight got %s %q, close %v", response.Status, body, response.Close)
	}
	if code := g.AwaitExit(); code != 0 {
		t.Errorf("the first process ended with %d", code)
	}

	// SIGUSR2 starts the program anew.
	u := next.Upgrading()
	u.Next()
	next.AwaitStatus("/", 200)
	u.End()
}

// TestSystemdSocket starts the gateway with a listening socket as systemd passes one.
func TestSystemdSocket(t *testing.T) {
	g := harness.Prepare(t, oneBackend, harness.Vars{"BACKEND": harness.Whoami(t, "one")})
	ln, err := net.Listen("tcp", g.Web)
	if err != nil {
		t.Fatal(err)
	}
	waiting, err := net.Dial("tcp", g.Web) // nobody accepts yet: it waits
	if err != nil {
		t.Fatal(err)
	}
	defer waiting.Close()
	fmt.Fprintf(waiting, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	f, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	g.Pass("web", f)
	ln.Close()
	g.Run()
	f.Close()
	waiting.SetReadDeadline(time.Now().Add(harness.Patience))
	var answer bytes.Buffer
	answer.ReadFrom(waiting)
	if !strings.HasPrefix(answer.String(), "HTTP/1.1 200 ") {
		t.Errorf("the connection that waited got %q", answer.String())
	}
}
