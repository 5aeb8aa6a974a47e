//go:build linux

package integration

import (
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/integration/harness"
)

// slowBackend answers everything with "complete", but /slow only once finish yields or is closed: it says when it
// has begun.
func slowBackend(t *testing.T) (address string, begun <-chan struct{}, finish chan struct{}) {
	told := make(chan struct{})
	finish = make(chan struct{})
	return harness.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			told <- struct{}{}
			<-finish
		}
		w.Write([]byte("complete"))
	})), told, finish
}

// TestDrain sends SIGTERM while requests are in flight. Until the accept grace time has passed new
// connections are still served; what is in flight completes; the process then ends with status 0.
func TestDrain(t *testing.T) {
	backend, begun, finish := slowBackend(t)
	const accept = time.Second
	g := harness.Start(t, strings.Replace(oneBackend, "address: $WEB", `address: $WEB
    transport: {lifeCycle: {requestAcceptGraceTimeout: 1s, graceTimeOut: 60s}}`, 1), harness.Vars{"BACKEND": backend})
	g.AwaitStatus("/", 200)

	idle := harness.Dial(t, g.Web)
	idle.Send("GET / HTTP/1.1\nHost: x\n\n")
	idle.Response("GET")
	var slow []*harness.Conn
	for range 5 {
		conn := harness.Dial(t, g.Web)
		conn.Send("GET /slow HTTP/1.1\nHost: x\n\n")
		harness.Within(t, "the slow request at the backend", begun)
		slow = append(slow, conn)
	}

	told := time.Now()
	g.Signal(syscall.SIGTERM)
	fresh := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: harness.Patience}
	for time.Since(told) < accept {
		response, err := fresh.Get("http://" + g.Web + "/")
		if err == nil {
			response.Body.Close()
		}
		if time.Since(told) < accept && (err != nil || response.StatusCode != 200) {
			t.Fatalf("a new connection within the grace time got %v, %v", response, err)
		}
	}
	harness.Eventually(t, "new connections to be refused", func() bool {
		conn, err := net.Dial("tcp", g.Web)
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	if _, err := idle.ReadByte(); err == nil {
		t.Error("the idle connection was sent something instead of being closed")
	}
	close(finish)
	for _, conn := range slow {
		response, body := conn.Response("GET")
		if response.StatusCode != 200 || body != "complete" {
			t.Errorf("a request in flight got %s %q", response.Status, body)
		}
		if !response.Close {
			t.Error("the last response on a connection lacks Connection: close")
		}
	}
	if code := g.AwaitExit(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

// TestDrainToldAgain: signals that come at once are one, and cut nothing; a later one does.
func TestDrainToldAgain(t *testing.T) {
	for name, later := range map[string]bool{"at once": false, "later": true} {
		t.Run(name, func(t *testing.T) {
			backend, begun, finish := slowBackend(t)
			g := harness.Start(t, strings.Replace(oneBackend, "address: $WEB", `address: $WEB
    transport: {lifeCycle: {graceTimeOut: 60s}}`, 1), harness.Vars{"BACKEND": backend})
			g.AwaitStatus("/", 200)
			conn := harness.Dial(t, g.Web)
			conn.Send("GET /slow HTTP/1.1\nHost: x\n\n")
			harness.Within(t, "the slow request at the backend", begun)
			g.Signal(syscall.SIGTERM)
			g.Signal(syscall.SIGINT)
			harness.Eventually(t, "both signals to be heard", func() bool {
				return strings.Contains(g.Log(), "draining already") || strings.Contains(g.Log(), "stopping at once")
			})
			if strings.Contains(g.Log(), "stopping at once") {
				t.Error("signals that came together ended the drain")
			}
			if later {
				harness.Eventually(t, "another signal to cut what is left", func() bool {
					if strings.Contains(g.Log(), "stopping at once") {
						return true
					}
					g.Signal(syscall.SIGTERM)
					return false
				})
				if _, err := conn.ReadByte(); err == nil {
					t.Error("the request that was cut got an answer")
				}
				harness.Eventually(t, "the log to tell of it", func() bool {
					return strings.Contains(g.Log(), "connections cut before the end of the grace period")
				})
				close(finish)
			} else {
				close(finish)
				if response, body := conn.Response("GET"); response.StatusCode != 200 || body != "complete" {
					t.Errorf("the request in flight got %s %q", response.Status, body)
				}
			}
			if code := g.AwaitExit(); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
		})
	}
}
