//go:build linux

package harness

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
)

// Vars are names that stand for values in a configuration: "ONE" replaces $ONE.
type Vars map[string]string

// A Gateway is the binary running with a configuration of its own.
type Gateway struct {
	Web   string // host:port of the entry point $WEB
	Admin string // host:port of the entry point $ADMIN
	Dir   string // directory of its files, $DIR

	t      testing.TB
	vars   *strings.Replacer
	cmd    *exec.Cmd
	log    *os.File // a file, and not a pipe, which a process that takes over would keep open
	exited chan struct{}
}

// Start runs the gateway with the files of a txtar archive, the first of which is the static configuration.
// $WEB, $ADMIN and $DIR stand for a free address each and the directory of the files, beside the given
// variables, and ~ for the backquote, which a Go raw string cannot hold. It returns once $WEB accepts connections.
func Start(t testing.TB, archive string, vars Vars) *Gateway {
	t.Helper()
	g := Prepare(t, archive, vars)
	g.Run()
	return g
}

// Prepare writes the files and chooses the ports, but does not start anything.
func Prepare(t testing.TB, archive string, vars Vars) *Gateway {
	t.Helper()
	g := &Gateway{Web: FreeAddress(t), Admin: FreeAddress(t), Dir: t.TempDir(), t: t, log: logFile(t)}
	pairs := []string{"~", "`", "$WEB", g.Web, "$ADMIN", g.Admin, "$DIR", g.Dir}
	for name, value := range vars {
		pairs = append(pairs, "$"+name, value)
	}
	g.vars = strings.NewReplacer(pairs...)
	files := txtar.Parse([]byte(archive)).Files
	if len(files) == 0 {
		t.Fatal("the archive holds no file")
	}
	for _, file := range files {
		g.Write(file.Name, string(file.Data))
	}
	g.cmd = exec.Command(Binary(t), "--configFile="+filepath.Join(g.Dir, files[0].Name))
	g.cmd.Dir = g.Dir
	return g
}

// Write puts a file into the gateway's directory by renaming it over what was there. Variables are replaced.
func (g *Gateway) Write(name, text string) {
	g.t.Helper()
	path := filepath.Join(g.Dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		g.t.Fatal(err)
	}
	// The leading dot hides the unfinished file from a provider that watches the directory.
	unfinished := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
	if err := os.WriteFile(unfinished, []byte(g.vars.Replace(text)), 0o644); err != nil {
		g.t.Fatal(err)
	}
	if err := os.Rename(unfinished, path); err != nil {
		g.t.Fatal(err)
	}
}

// Run starts a prepared gateway.
func (g *Gateway) Run() {
	g.t.Helper()
	g.cmd.Stdout, g.cmd.Stderr = g.log, g.log
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := g.cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
	g.exited = make(chan struct{})
	go func() {
		g.cmd.Wait()
		close(g.exited)
	}()
	g.t.Cleanup(func() {
		g.cmd.Process.Kill()
		<-g.exited
		if g.t.Failed() {
			log := g.Log()
			g.t.Logf("the last of the gateway's output:\n%s", log[max(0, len(log)-3000):])
		}
	})
	Eventually(g.t, "the gateway to listen on "+g.Web, func() bool {
		select {
		case <-g.exited:
			g.t.Fatalf("the gateway ended at once, %v:\n%s", g.cmd.ProcessState, g.Log())
		default:
		}
		conn, err := net.Dial("tcp", g.Web)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// AwaitStatus waits until a GET of path on the entry point $WEB is answered with the status.
func (g *Gateway) AwaitStatus(path string, status int) {
	g.t.Helper()
	g.AwaitHost("", path, status)
}

// AwaitHost is AwaitStatus with a Host header field; the address of the entry point if it is empty.
func (g *Gateway) AwaitHost(host, path string, status int) {
	g.t.Helper()
	last := "no answer"
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: Patience}
	deadline := time.Now().Add(Patience)
	for time.Now().Before(deadline) {
		request, err := http.NewRequest("GET", "http://"+g.Web+path, nil)
		if err != nil {
			g.t.Fatal(err)
		}
		request.Host = host
		response, err := client.Do(request)
		if err != nil {
			last = err.Error()
		} else {
			response.Body.Close()
			last = response.Status
			if response.StatusCode == status {
				return
			}
		}
		<-time.After(10 * time.Millisecond)
	}
	g.t.Fatalf("GET %s (host %q): waited %s for status %d, the last answer was: %s", path, host, Patience, status, last)
}

// Pass has a prepared gateway started as systemd does, with sockets that have the names, which colons part.
func (g *Gateway) Pass(names string, sockets ...*os.File) {
	// Only the process itself knows the PID that LISTEN_PID must have.
	g.cmd.Args = append([]string{"sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, g.cmd.Path}, g.cmd.Args[1:]...)
	g.cmd.Path = "/bin/sh"
	g.cmd.Env = append(os.Environ(), fmt.Sprint("LISTEN_FDS=", len(sockets)), "LISTEN_FDNAMES="+names)
	g.cmd.ExtraFiles = sockets
}

// Signal sends the process a signal.
func (g *Gateway) Signal(signal os.Signal) {
	g.t.Helper()
	if err := g.cmd.Process.Signal(signal); err != nil {
		g.t.Fatal(err)
	}
}

// AwaitExit waits for the process to end and returns its exit code.
func (g *Gateway) AwaitExit() int {
	g.t.Helper()
	Within(g.t, "the gateway's end", g.exited)
	return g.cmd.ProcessState.ExitCode()
}

// Log is what the gateway has written to its standard output and error so far.
func (g *Gateway) Log() string {
	text, err := os.ReadFile(g.log.Name())
	if err != nil {
		g.t.Fatal(err)
	}
	return string(text)
}

// logFile is a file that lasts as long as the test.
func logFile(t testing.TB) *os.File {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "log")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// Resident is the process's resident memory in bytes.
func (g *Gateway) Resident() int64 {
	g.t.Helper()
	bytes, err := resident(g.cmd.Process.Pid)
	if err != nil {
		g.t.Fatal(err)
	}
	return bytes
}

func resident(pid int) (bytes int64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), "\nVmRSS:")
	var kilobytes int64
	if _, err := fmt.Sscan(rest, &kilobytes); err != nil {
		return 0, fmt.Errorf("no VmRSS in the status of process %d: %w", pid, err)
	}
	return kilobytes << 10, nil
}

// Command runs the binary to its end and returns its output, both streams together, and exit code.
func Command(t testing.TB, directory string, arguments ...string) (string, int) {
	t.Helper()
	command := exec.Command(Binary(t), arguments...)
	command.Dir = directory
	output, err := command.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(output), command.ProcessState.ExitCode()
}
