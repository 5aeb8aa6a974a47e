//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A process is a started program with all its descendants.
type process struct {
	program string
	cmd     *exec.Cmd
	log     string // file that has its output
	exited  chan struct{}
}

// startProcess starts argv pinned to a CPU, with its output in a file of directory. Its process group and
// all in it end with stop, and with this program.
func startProcess(name, directory string, cpu int, env []string, argv ...string) (*process, error) {
	path := filepath.Join(directory, "output.log")
	log, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command("taskset", append([]string{"-c", strconv.Itoa(cpu)}, argv...)...)
	cmd.Dir = directory
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	p := &process{program: name, cmd: cmd, log: path, exited: make(chan struct{})}
	go func() {
		cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

// failure describes an early end by how the program ended, if it has, and its own last words.
func (p *process) failure(reason string) error {
	select {
	case <-p.exited:
		reason += " (" + p.cmd.ProcessState.String() + ")"
	default:
	}
	output, err := os.ReadFile(p.log)
	if err != nil {
		output = []byte(err.Error())
	}
	return fmt.Errorf("%s %s; it said: %s", p.program, reason, bytes.TrimSpace(output[max(0, len(output)-2000):]))
}

// stop asks the program to end, insists after five seconds, and returns once it is gone.
func (p *process) stop() {
	syscall.Kill(-p.cmd.Process.Pid, syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(5 * time.Second):
	}
	syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.exited
}

// tree lists the process and its descendants.
func (p *process) tree() ([]int, error) {
	paths, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	children := map[int][]int{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended since
		}
		// pid (name) state ppid …, where the name may hold anything.
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		pid, err1 := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		parent, err2 := strconv.Atoi(fields[1])
		if err1 == nil && err2 == nil {
			children[parent] = append(children[parent], pid)
		}
	}
	tree := []int{p.cmd.Process.Pid}
	for i := 0; i < len(tree); i++ {
		tree = append(tree, children[tree[i]]...)
	}
	return tree, nil
}

// cpu is the time that all threads of the process tree have run, in user and system mode together. The
// kernel counts it in nanoseconds (schedstat); /proc/PID/stat gives the same time in ticks of 10 ms.
func (p *process) cpu() (time.Duration, error) {
	tree, err := p.tree()
	if err != nil {
		return 0, err
	}
	var sum time.Duration
	for _, pid := range tree {
		paths, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
		if err != nil {
			return 0, err
		}
		if len(paths) == 0 {
			return 0, p.failure("has ended (or this kernel has no schedstat)")
		}
		for _, path := range paths {
			var run int64
			text, err := os.ReadFile(path)
			if err != nil {
				return 0, err
			}
			if _, err := fmt.Sscan(string(text), &run); err != nil {
				return 0, fmt.Errorf("%s: %w", path, err)
			}
			sum += time.Duration(run)
		}
	}
	return sum, nil
}

// memory is the resident memory of the process tree in bytes, pages shared between its processes counted
// once (PSS).
func (p *process) memory() (int64, error) {
	tree, err := p.tree()
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, pid := range tree {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			return 0, err
		}
		_, rest, found := strings.Cut(string(text), "\nPss:")
		var kilobytes int64
		if _, err := fmt.Sscan(rest, &kilobytes); !found || err != nil {
			return 0, fmt.Errorf("/proc/%d/smaps_rollup has no Pss line", pid)
		}
		sum += kilobytes << 10
	}
	return sum, nil
}
