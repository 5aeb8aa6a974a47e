//go:build linux

package harness

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Replace runs a second process with the same files, which may have been changed, and returns it once the
// first has seen that it takes its place. The first is still the caller's to await.
func (g *Gateway) Replace() *Gateway {
	g.t.Helper()
	next := &Gateway{Web: g.Web, Admin: g.Admin, Dir: g.Dir, t: g.t, vars: g.vars, log: logFile(g.t)}
	next.cmd = exec.Command(g.cmd.Path, g.cmd.Args[1:]...)
	next.cmd.Dir = g.Dir
	next.Run()
	Eventually(g.t, "the first process to give way", func() bool { return strings.Contains(g.Log(), takenOver) })
	return next
}

const takenOver = "another process has taken over"

// adopt has processes whose parent has ended become children of this one.
var adopt = sync.OnceValue(func() error { return unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) })

// An Upgrade is a gateway that replaces itself again and again on SIGUSR2, as its operator has it do.
type Upgrade struct {
	*Gateway
	pids []int // of all processes there have been, the one that serves last
}

// Upgrading begins with a gateway that runs. All processes write to its log.
func (g *Gateway) Upgrading() *Upgrade {
	g.t.Helper()
	if err := adopt(); err != nil {
		g.t.Fatal(err)
	}
	u := &Upgrade{g, []int{g.cmd.Process.Pid}}
	g.t.Cleanup(func() {
		for _, pid := range u.pids[1:] {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	return u
}

// Pid is the process that serves.
func (u *Upgrade) Pid() int { return u.pids[len(u.pids)-1] }

// Next has the process replaced, and returns once it has seen that its successor took its place.
func (u *Upgrade) Next() {
	u.t.Helper()
	n := len(u.pids)
	if err := syscall.Kill(u.Pid(), syscall.SIGUSR2); err != nil {
		u.t.Fatal(err)
	}
	Eventually(u.t, "the process to be replaced", func() bool { return strings.Count(u.Log(), takenOver) == n })
	parts := strings.Split(u.Log(), "started a process to replace this one")
	var pid int
	if _, text, ok := strings.Cut(parts[len(parts)-1], "pid="); !ok || len(parts) != n+1 {
		u.t.Fatalf("%d of %d replacements in the log", len(parts)-1, n)
	} else if _, err := fmt.Sscan(text, &pid); err != nil {
		u.t.Fatal(err)
	}
	u.pids = append(u.pids, pid)
}

// End has the last process end, and every process before it: each must with status 0.
func (u *Upgrade) End() {
	u.t.Helper()
	if err := syscall.Kill(u.Pid(), syscall.SIGTERM); err != nil {
		u.t.Fatal(err)
	}
	if code := u.AwaitExit(); code != 0 {
		u.t.Errorf("the first process ended with status %d", code)
	}
	for i, pid := range u.pids[1:] {
		var status unix.WaitStatus
		Eventually(u.t, fmt.Sprintf("the end of process %d", i+1), func() bool {
			// Not a child of this process as long as the one that started it runs.
			got, err := unix.Wait4(pid, &status, unix.WNOHANG, nil)
			if err != nil && !errors.Is(err, unix.ECHILD) {
				u.t.Fatal(err)
			}
			return got == pid || err != nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
		})
		if status.Signaled() || status.ExitStatus() != 0 {
			u.t.Errorf("process %d ended with status %d, signal %v", i+1, status.ExitStatus(), status.Signal())
		}
	}
}
