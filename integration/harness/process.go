//go:build linux

package harness

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/pergola-mesh/pergola/internal/waittest"
)

// Process runs a program until the test ends, and returns once it listens on the address, or Unix socket. What it said is
// shown when the test has failed. environ is added to the test's own.
func Process(t testing.TB, address string, environ []string, program string, arguments ...string) {
	t.Helper()
	ProcessAs(t, nil, address, environ, program, arguments...)
}

// ProcessAs is Process as another user; nil for one's own.
func ProcessAs(t testing.TB, user *syscall.Credential, address string, environ []string, program string, arguments ...string) {
	t.Helper()
	log := new(waittest.Buffer)
	command := exec.Command(program, arguments...)
	command.Env = append(os.Environ(), environ...)
	if user == nil {
		command.Dir = t.TempDir()
	} else {
		command.Dir = "/" // who is somebody else may not enter the test's
	}
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Credential: user}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		command.Process.Kill()
		command.Wait()
		if text := log.String(); t.Failed() && text != "" {
			t.Logf("the last of what %s said:\n%s", program, text[max(0, len(text)-4000):])
		}
	})
	AwaitListener(t, address)
}

// AwaitListener waits until somebody accepts connections on an address, or a Unix socket's path.
func AwaitListener(t testing.TB, address string) {
	t.Helper()
	network := "tcp"
	if filepath.IsAbs(address) {
		network = "unix"
	}
	Eventually(t, "somebody to listen on "+address, func() bool {
		conn, err := net.Dial(network, address)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}
