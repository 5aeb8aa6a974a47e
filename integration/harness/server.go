//go:build linux

package harness

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/pergola-mesh/pergola/internal/nettest"
	"github.com/pergola-mesh/pergola/internal/whoami"
)

// Whoami starts a demonstration backend and returns its URL.
func Whoami(t testing.TB, name string) string {
	t.Helper()
	return Serve(t, whoami.New(name))
}

// Serve starts a backend with a handler of the test's own and returns its URL. When the test ends its
// connections are closed; a handler that is still busy then is not waited for.
func Serve(t testing.TB, handler http.Handler) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	return "http://" + listener.Addr().String()
}

// ServeRaw starts a backend that hands each connection to serve, and closes it after. It returns its URL.
func ServeRaw(t testing.TB, serve func(*Conn)) string {
	t.Helper()
	return "http://" + nettest.Serve(t, func(conn net.Conn) { serve(newConn(t, conn)) })
}

// Nginx starts an nginx whose server block has the given content, and returns its URL.
func Nginx(t testing.TB, content string) string {
	t.Helper()
	program, err := exec.LookPath("nginx")
	if err != nil {
		program = "/usr/sbin/nginx"
	}
	if _, err := os.Stat(program); err != nil {
		t.Fatalf("%v: run the tests with make test, or install nginx", err)
	}
	directory, address := t.TempDir(), FreeAddress(t)
	config := filepath.Join(directory, "nginx.conf")
	text := fmt.Sprintf(`daemon off; master_process off; pid %[1]s/pid; error_log stderr warn;
events {}
http {
  access_log off;
  client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/fastcgi;
  uwsgi_temp_path %[1]s/uwsgi; scgi_temp_path %[1]s/scgi;
  server { listen %[2]s; %[3]s }
}
`, directory, address, content)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	Process(t, address, nil, program, "-e", "stderr", "-p", directory, "-c", config)
	return "http://" + address
}
