//go:build linux

package integration

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/integration/harness"
)

// generation is a configuration that says its number in a response header, and whose routers come and go.
func generation(n int, backend string) string {
	return fmt.Sprintf(`
http:
  middlewares:
    stamp: {headers: {customResponseHeaders: {X-Generation: "%d"}}}
  routers:
    storm: {rule: PathPrefix(~/storm~), service: storm, middlewares: [stamp]}
    passing%d: {rule: Path(~/passing/%d~), service: storm}
  services:
    storm: {loadBalancer: {servers: [{url: %q}]}}
`, n, n%7, n, backend)
}

// TestReloadStorm changes the configuration ten times a second under load. SIGHUP has each change applied:
// the provider by itself would wait for the writing to pause.
func TestReloadStorm(t *testing.T) {
	backend := harness.Whoami(t, "one")
	g := harness.Start(t, oneBackend, harness.Vars{"BACKEND": backend})
	g.Write("dynamic/storm.yaml", generation(0, backend))
	awaitGeneration(t, g, 0)
	before := g.Resident()

	var newest atomic.Int64 // generation seen by any request
	var seen atomic.Int64   // how many times it moved on
	load := harness.NewLoad(t, 8, request("http://"+g.Web+"/storm"), func(response *http.Response, body []byte) error {
		if err := harness.WantStatus(200)(response, body); err != nil {
			return err
		}
		n, err := strconv.ParseInt(response.Header.Get("X-Generation"), 10, 64)
		if err != nil {
			return err
		}
		if old := newest.Load(); n > old && newest.CompareAndSwap(old, n) {
			seen.Add(1)
		}
		return nil
	})
	last := 0
	change := time.NewTicker(100 * time.Millisecond)
	defer change.Stop()
	for end := time.Now().Add(*loadTime); time.Now().Before(end); {
		<-change.C
		last++
		g.Write("dynamic/storm.yaml", generation(last, backend))
		g.Signal(syscall.SIGHUP)
	}
	awaitGeneration(t, g, last)
	load.MustNotFail(t, 1000)
	t.Logf("%d requests over %d changes, %d of which were seen in force", load.Done.Load(), last, seen.Load())
	if seen.Load() < int64(last)/10 {
		t.Errorf("only %d of %d changes were seen in force", seen.Load(), last)
	}
	if growth := g.Resident() - before; growth > 48<<20 {
		t.Errorf("memory grew by %d MiB over %d reloads", growth>>20, last)
	}
}

// request makes the same GET over and over.
func request(url string) func() *http.Request {
	return func() *http.Request {
		r, err := http.NewRequest("GET", url, nil)
		if err != nil {
			panic(err) // the URL is the test's own
		}
		return r
	}
}

func awaitGeneration(t *testing.T, g *harness.Gateway, n int) {
	t.Helper()
	harness.Eventually(t, fmt.Sprintf("generation %d", n), func() bool {
		response, err := http.Get("http://" + g.Web + "/storm")
		if err != nil {
			return false
		}
		response.Body.Close()
		return response.Header.Get("X-Generation") == strconv.Itoa(n)
	})
}

// TestBadConfigurationKeepsTheLastGood breaks a file in two ways; neither may touch traffic.
func TestBadConfigurationKeepsTheLastGood(t *testing.T) {
	backend := harness.Whoami(t, "one")
	g := harness.Start(t, oneBackend, harness.Vars{"BACKEND": backend})
	g.Write("dynamic/storm.yaml", generation(1, backend))
	awaitGeneration(t, g, 1)

	// Not YAML at all: the file's last good version stays.
	g.Write("dynamic/storm.yaml", "http: [unfinished\n")
	harness.Eventually(t, "the broken file in the log", func() bool { return strings.Contains(g.Log(), "storm.yaml") })
	awaitGeneration(t, g, 1)

	// Mended, it is in force again.
	g.Write("dynamic/storm.yaml", generation(2, backend))
	awaitGeneration(t, g, 2)

	// One bad object among good ones: it fails alone.
	g.Write("dynamic/other.yaml", `
http:
  routers:
    bad: {rule: "PathPrefix(", service: other}
    good: {rule: Path(~/good~), service: other}
  services:
    other: {loadBalancer: {servers: [{url: "`+backend+`"}]}}
`)
	g.AwaitStatus("/good", 200)
	harness.Eventually(t, "the bad router in the log", func() bool { return strings.Contains(g.Log(), "bad@file") || strings.Contains(g.Log(), "routers.bad") })
	awaitGeneration(t, g, 2)
}

// TestHangupReloads changes a file that nobody watches, then sends SIGHUP. A connection that is open all the
// while stays.
func TestHangupReloads(t *testing.T) {
	backend := harness.Whoami(t, "one")
	g := harness.Start(t, `
-- static.yaml --
entryPoints: {web: {address: $WEB}}
providers: {file: {filename: $DIR/routes.yaml, watch: false}}
-- routes.yaml --
`+generation(1, backend), nil)
	awaitGeneration(t, g, 1)
	conn := harness.Dial(t, g.Web)
	ask := func() string {
		conn.Send("GET /storm HTTP/1.1\nHost: x\n\n")
		response, _ := conn.Response("GET")
		return response.Header.Get("X-Generation")
	}
	if got := ask(); got != "1" {
		t.Fatalf("generation %q before the change", got)
	}
	g.Write("routes.yaml", generation(2, backend))
	g.Signal(syscall.SIGHUP)
	awaitGeneration(t, g, 2)
	if got := ask(); got != "2" {
		t.Errorf("the connection that was open sees generation %q, want 2", got)
	}
}

// TestHangupTellsOfStatic changes the static configuration: SIGHUP cannot apply it, and says so, with how to. A file
// that is only written anew is no change.
func TestHangupTellsOfStatic(t *testing.T) {
	const first = "entryPoints: {web: {address: $WEB}}\nlog: {level: INFO}\n"
	for name, row := range map[string]struct{ restart, remedy string }{
		"alone":       {"", "stop this process"},
		"replaceable": {"restart: {socket: $DIR/restart.sock}\n", "send SIGUSR2"},
	} {
		t.Run(name, func(t *testing.T) {
			g := harness.Start(t, "-- static.yaml --\n"+first+row.restart, nil)
			says := func(what string, change string, want string) {
				t.Helper()
				g.Write("static.yaml", change+row.restart)
				g.Signal(syscall.SIGHUP)
				harness.Eventually(t, what+" in the log", func() bool { return strings.Contains(g.Log(), want) })
			}
			says("a reload", "# a comment\n"+first, "reloading")
			says("problems", first+"entrypoint: {}\n", "no other would start")
			says("a change", first+"ping: {}\nlimits: {maxConnections: 777777777}\n", "limits.maxConnections")
			said := ""
			for line := range strings.Lines(g.Log()) {
				if strings.Contains(line, "read at start only") {
					said += line
				}
			}
			if strings.Count(said, "\n") != 1 || !strings.Contains(said, "ping") || !strings.Contains(said, row.remedy) || strings.Contains(said, "777777777") {
				t.Errorf("the log says\n%swant one line with the keys, no value, and %q", said, row.remedy)
			}
		})
	}
}
