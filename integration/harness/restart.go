//go:build linux

package harness

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

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
	pids  []int        // of all processes there have been, the one that serves last
	ended map[int]bool // those that are known to have ended
}

// Upgrading begins with a gateway that runs. All processes write to its log.
func (g *Gateway) Upgrading() *Upgrade {
	g.t.Helper()
	if err := adopt(); err != nil {
		g.t.Fatal(err)
	}
	u := &Upgrade{g, []int{g.cmd.Process.Pid}, map[int]bool{}}
	g.t.Cleanup(func() {
		for _, pid := range u.Alive() {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	return u
}

// Pid is the process that serves.
func (u *Upgrade) Pid() int { return u.pids[len(u.pids)-1] }

// Next has the process replaced, and returns how long it took until its successor had its place.
func (u *Upgrade) Next() time.Duration {
	u.t.Helper()
	n, begun := len(u.pids), time.Now()
	if err := syscall.Kill(u.Pid(), syscall.SIGUSR2); err != nil {
		u.t.Fatal(err)
	}
	Eventually(u.t, "the process to be replaced", func() bool { return strings.Count(u.Log(), takenOver) == n })
	took := time.Since(begun)
	parts := strings.Split(u.Log(), "started a process to replace this one")
	var pid int
	if _, text, ok := strings.Cut(parts[len(parts)-1], "pid="); !ok || len(parts) != n+1 {
		u.t.Fatalf("%d of %d replacements in the log", len(parts)-1, n)
	} else if _, err := fmt.Sscan(text, &pid); err != nil {
		u.t.Fatal(err)
	}
	u.pids = append(u.pids, pid)
	return took
}

// Alive are the processes that have not ended, the oldest first. One that ended with another status than 0
// fails the test, if its parent had ended before; else the parent has logged that.
func (u *Upgrade) Alive() (pids []int) {
	u.t.Helper()
	for i, pid := range u.pids {
		if u.ended[pid] {
			continue
		}
		if i == 0 {
			select {
			case <-u.exited:
				u.ended[pid] = true
				if code := u.cmd.ProcessState.ExitCode(); code != 0 {
					u.t.Errorf("the first process ended with status %d", code)
				}
			default:
				pids = append(pids, pid)
			}
			continue
		}
		var status unix.WaitStatus
		// Not a child of this process as long as the one that started it runs.
		got, err := unix.Wait4(pid, &status, unix.WNOHANG, nil)
		switch {
		case err != nil && !errors.Is(err, unix.ECHILD):
			u.t.Fatal(err)
		case got == pid:
			u.ended[pid] = true
			if status.Signaled() || status.ExitStatus() != 0 {
				u.t.Errorf("process %d ended with status %d, signal %v", i, status.ExitStatus(), status.Signal())
			}
		case err != nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH):
			u.ended[pid] = true
		default:
			pids = append(pids, pid)
		}
	}
	return pids
}

// End has the last process end, and every process before it: each must with status 0.
func (u *Upgrade) End() {
	u.t.Helper()
	if err := syscall.Kill(u.Pid(), syscall.SIGTERM); err != nil {
		u.t.Fatal(err)
	}
	Eventually(u.t, "the end of all processes", func() bool { return len(u.Alive()) == 0 })
	if log := u.Log(); strings.Contains(log, "level=ERROR") {
		u.t.Errorf("an error was logged:\n%s", log)
	}
}

// Usage is what a process has of the machine's.
type Usage struct {
	Resident    int64 // bytes of memory
	Descriptors int
}

// UsageOf looks at a process.
func (u *Upgrade) UsageOf(pid int) (now Usage, err error) {
	if now.Resident, err = resident(pid); err != nil {
		return now, err
	}
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	now.Descriptors = len(entries)
	return now, err
}
