//go:build linux

package integration

import (
	"bytes"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/integration/harness"
)

// TestQuickstart does what the README's quickstart says, command by command, in a copy of the tree.
func TestQuickstart(t *testing.T) {
	root, err := harness.Root()
	if err != nil {
		t.Fatal(err)
	}
	blocks := quickstart(t, filepath.Join(root, "README.md"))
	if len(blocks) != 3 || strings.TrimSpace(blocks[0]) != "make run" {
		t.Fatalf("the quickstart has blocks %q: the first must be make run, the others are commands to try", blocks)
	}
	tree := copyTree(t, root)
	var log bytes.Buffer
	run := exec.Command("make", "run")
	run.Dir = tree
	run.Stdout, run.Stderr = &log, &log
	run.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		run.Wait()
		close(exited)
	}()
	t.Cleanup(func() {
		syscall.Kill(-run.Process.Pid, syscall.SIGINT) // what it started stops with it
		harness.Within(t, harness.Patience, "the end after a failure", exited)
		if t.Failed() {
			t.Logf("make run:\n%s", &log)
		}
	})
	awaitRunning(t, exited)

	for _, block := range blocks[1:] {
		for line := range strings.Lines(block) {
			output := shell(t, tree, strings.TrimSpace(line))
			t.Logf("%s%.300s", line, output)
			if strings.HasPrefix(line, "curl") && len(output) == 0 {
				t.Errorf("%s printed nothing", line)
			}
		}
	}
	harness.Eventually(t, "the edited route to apply", func() bool {
		return strings.Contains(shell(t, tree, "curl http://127.0.0.1:8000/api-demo/headers"), "hello again")
	})

	// Ctrl-C reaches the whole group.
	syscall.Kill(-run.Process.Pid, syscall.SIGINT)
	harness.Within(t, harness.Patience, "the end after Ctrl-C", exited)
	for _, port := range []string{"8000", "8080", "9101", "9102"} {
		if conn, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil {
			conn.Close()
			t.Errorf("something still listens on port %s after Ctrl-C", port)
		}
	}
}

// quickstart returns the shell blocks of the README's section of that name.
func quickstart(t *testing.T, readme string) []string {
	t.Helper()
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n## Quickstart\n")
	if !found {
		t.Fatal("the README has no quickstart")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var blocks []string
	for {
		_, rest, found := strings.Cut(section, "```sh\n")
		if !found {
			return blocks
		}
		block, after, _ := strings.Cut(rest, "```")
		blocks, section = append(blocks, block), after
	}
}

// copyTree copies the working tree without what git and the build left in it.
func copyTree(t *testing.T, root string) string {
	t.Helper()
	tree := t.TempDir()
	pack := exec.Command("tar", "-C", root, "--exclude=./.git", "--exclude=./.cache", "--exclude=./bin", "-cf", "-", ".")
	unpack := exec.Command("tar", "-C", tree, "-xf", "-")
	var err error
	if unpack.Stdin, err = pack.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err := unpack.Start(); err != nil {
		t.Fatal(err)
	}
	if err := pack.Run(); err != nil {
		t.Fatal(err)
	}
	if err := unpack.Wait(); err != nil {
		t.Fatal(err)
	}
	return tree
}

// awaitRunning gives make run the time that a build takes.
func awaitRunning(t *testing.T, exited <-chan struct{}) {
	t.Helper()
	deadline := time.After(5 * time.Minute)
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for {
		select {
		case <-exited:
			t.Fatal("make run ended")
		case <-deadline:
			t.Fatal("no answer on 127.0.0.1:8000 after five minutes")
		case <-poll.C:
		}
		if response, err := http.Get("http://127.0.0.1:8000/"); err == nil {
			response.Body.Close()
			if response.StatusCode == 200 {
				return
			}
		}
	}
}

// shell runs a line as the README has it, but for curl failing, and saying why, on a status that is an error.
func shell(t *testing.T, directory, line string) string {
	t.Helper()
	command := exec.Command("bash", "-c", `set -o pipefail; curl() { command curl -fsS "$@"; }; `+line)
	command.Dir = directory
	var stderr bytes.Buffer
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		t.Errorf("%s: %v\n%s%s", line, err, output, &stderr)
	}
	return string(output)
}
