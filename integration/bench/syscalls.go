//go:build linux

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// syscalls are the calls per request, by name. Failed ones count as well.
type syscalls map[string]float64

func (s syscalls) total() float64 {
	var sum float64
	for _, n := range s {
		sum += n
	}
	return sum
}

// common names the calls that more than one request in fifty makes.
func (s syscalls) common() string {
	var parts []string
	for _, name := range slices.SortedFunc(maps.Keys(s), func(a, b string) int {
		return int(1e6*s[b]) - int(1e6*s[a])
	}) {
		if s[name] >= 0.02 {
			parts = append(parts, fmt.Sprintf("%s %.2f", name, s[name]))
		}
	}
	return strings.Join(parts, ", ")
}

// measureSyscalls counts under strace, apart from all timing: tracing costs far more than the calls do.
func (b *bench) measureSyscalls() error {
	for _, p := range b.products {
		calls, err := b.countSyscalls(p)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		b.report.Syscalls[p.name] = calls
	}
	return nil
}

func (b *bench) countSyscalls(p product) (syscalls, error) {
	i, err := b.start(p, nil)
	if err != nil {
		return nil, err
	}
	defer i.stop()
	if _, err := b.drive(i, small, time.Second); err != nil { // fills the pools
		return nil, err
	}
	pids, err := i.tree()
	if err != nil {
		return nil, err
	}
	output := filepath.Join(i.Dir, "strace.txt")
	arguments := []string{"-c", "-f", "-U", "calls,name", "-o", output}
	for _, pid := range pids {
		arguments = append(arguments, "-p", strconv.Itoa(pid))
	}
	strace := exec.Command("strace", arguments...)
	strace.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	messages, err := strace.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := strace.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(messages)
	for attached := 0; attached < len(pids) && lines.Scan(); attached++ {
		if !strings.Contains(lines.Text(), "attached") {
			strace.Process.Kill()
			return nil, fmt.Errorf("strace: %s", lines.Text())
		}
	}
	result, loadErr := b.wrk(i, small, 3*time.Second)
	strace.Process.Signal(os.Interrupt)
	for lines.Scan() {
	}
	strace.Wait() // ends by the signal it was sent
	if loadErr != nil {
		return nil, loadErr
	}
	text, err := os.ReadFile(output)
	if err != nil {
		return nil, err
	}
	return perRequest(text, result.Requests)
}

// perRequest reads strace's table of calls and names.
func perRequest(table []byte, requests int64) (syscalls, error) {
	calls := syscalls{}
	for line := range bytes.Lines(table) {
		fields := strings.Fields(string(line))
		if len(fields) != 2 || fields[1] == "total" {
			continue
		}
		if n, err := strconv.ParseInt(fields[0], 10, 64); err == nil {
			calls[fields[1]] = float64(n) / float64(requests)
		}
	}
	if len(calls) == 0 {
		return nil, fmt.Errorf("strace counted nothing: %s", table)
	}
	return calls, nil
}
