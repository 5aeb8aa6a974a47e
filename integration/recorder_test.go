//go:build linux

package integration

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/pergola-mesh/pergola/integration/harness"
)

// A recorder is a backend in a process of its own, so that it can be killed as backends die in earnest. It
// appends the number of every POST to a file before it answers, and the file outlives it.
type recorder struct {
	address string
	file    string
	command *exec.Cmd
}

// runRecorder is the process.
func runRecorder(address string) {
	file, err := os.OpenFile(os.Getenv("INTEGRATION_RECORD"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			fmt.Fprintf(file, "%s\n", r.Header.Get("X-Number")) // one write, so one whole line
		}
		fmt.Fprintln(w, "answered by", address)
	})
	fmt.Fprintln(os.Stderr, http.ListenAndServe(address, handler))
	os.Exit(1)
}

func newRecorder(t *testing.T) *recorder {
	r := &recorder{address: harness.FreeAddress(t), file: t.TempDir() + "/posts"}
	r.start(t)
	t.Cleanup(r.kill)
	return r
}

// start runs the process and returns once it listens.
func (r *recorder) start(t *testing.T) {
	t.Helper()
	r.command = exec.Command(os.Args[0])
	r.command.Env = append(os.Environ(), "INTEGRATION_BACKEND="+r.address, "INTEGRATION_RECORD="+r.file)
	r.command.Stderr = os.Stderr
	r.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := r.command.Start(); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, "the recorder to listen", func() bool {
		conn, err := net.Dial("tcp", r.address)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// kill ends the process without a chance to say anything.
func (r *recorder) kill() {
	r.command.Process.Kill()
	r.command.Wait()
}
