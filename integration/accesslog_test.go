//go:build linux

package integration

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/pergola-mesh/pergola/integration/harness"
)

// TestAccessLogReopens rotates the file as logrotate does: rename, SIGUSR1. No line may be lost, and none
// may go to the old file after the new one is there.
func TestAccessLogReopens(t *testing.T) {
	g := harness.Start(t, strings.Replace(oneBackend, "log:\n", "accessLog: {filePath: $DIR/access.log, format: json}\nlog:\n", 1),
		harness.Vars{"BACKEND": harness.Whoami(t, "one")})
	g.AwaitStatus("/", 200)
	current, old := filepath.Join(g.Dir, "access.log"), filepath.Join(g.Dir, "access.log.1")

	conn := harness.Dial(t, g.Web)
	ask := func(path string) {
		conn.Send("GET %s HTTP/1.1\nHost: logged.test\nUser-Agent: harness\n\n", path)
		if response, _ := conn.Response("GET"); response.StatusCode != 200 {
			t.Fatalf("%s: %s", path, response.Status)
		}
	}
	ask("/before")
	harness.Eventually(t, "the request in the access log", func() bool { return logs(t, current, "/before") })
	if err := os.Rename(current, old); err != nil {
		t.Fatal(err)
	}
	g.Signal(syscall.SIGUSR1)
	harness.Eventually(t, "the file to be opened anew", func() bool {
		_, err := os.Stat(current)
		return err == nil
	})
	ask("/after")
	harness.Eventually(t, "the request in the new file", func() bool { return logs(t, current, "/after") })
	if logs(t, old, "/after") || !logs(t, old, "/before") {
		t.Error("the lines are not where the rotation should have put them")
	}
}

// logs says whether a line of the file is about the path, and checks the fields of that line.
func logs(t *testing.T, file, path string) bool {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if !strings.HasSuffix(line, "\n") {
			continue // still being written
		}
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		if fields["RequestPath"] != path {
			continue
		}
		for name, want := range map[string]any{
			"RequestMethod": "GET", "DownstreamStatus": 200.0, "OriginStatus": 200.0, "ClientHost": "127.0.0.1",
			"RequestHost": "logged.test", "RouterName": "all@file", "ServiceName": "backend@file",
			"entryPointName": "web", "RequestProtocol": "HTTP/1.1",
		} {
			if fields[name] != want {
				t.Errorf("%s is %v, want %v in %s", name, fields[name], want, line)
			}
		}
		return true
	}
	return false
}

// TestOriginContentSize: the log has the size of a response before and after it was compressed.
func TestOriginContentSize(t *testing.T) {
	g := harness.Start(t, `
-- static.yaml --
entryPoints: {web: {address: $WEB}}
providers: {file: {filename: $DIR/routes.yaml}}
accessLog: {filePath: $DIR/access.log, format: json}
-- routes.yaml --
http:
  routers: {all: {rule: PathPrefix(~/~), service: backend, middlewares: [small]}}
  middlewares: {small: {compress: {}}}
  services: {backend: {loadBalancer: {servers: [{url: $BACKEND}]}}}
`, harness.Vars{"BACKEND": harness.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Write(bytes.Repeat([]byte("again and "), 10_000))
	}))})
	g.AwaitStatus("/", 200)
	conn := harness.Dial(t, g.Web)
	conn.Send("GET /big HTTP/1.1\nHost: h\nAccept-Encoding: gzip\n\n")
	if response, _ := conn.Response("GET"); response.Header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("not compressed: %v", response.Header)
	}
	var line struct {
		RequestPath                              string
		OriginContentSize, DownstreamContentSize int64
	}
	harness.Eventually(t, "the request in the access log", func() bool {
		text, _ := os.ReadFile(filepath.Join(g.Dir, "access.log"))
		for l := range strings.Lines(string(text)) {
			if json.Unmarshal([]byte(l), &line) == nil && line.RequestPath == "/big" {
				return true
			}
		}
		return false
	})
	if line.OriginContentSize != 100_000 || line.DownstreamContentSize == 0 || line.DownstreamContentSize > 10_000 {
		t.Errorf("logged %+v", line)
	}
}
