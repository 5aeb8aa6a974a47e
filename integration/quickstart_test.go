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

// demoPorts are those of the quickstart, and demoFiles where they are written beside the README.
var (
	demoPorts = []string{"8000", "8080", "9101", "9102"}
	demoFiles = []string{"traefik.toml", "docs/examples/quickstart/routes.yaml", "integration/tools/run-demo"}
)

// TestQuickstart does what the README's quickstart says, command by command, in a copy of the tree. On a
// machine where one of its ports is taken the copy, and the commands, get others.
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
	ports := choosePorts(t, tree)
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
		harness.Within(t, "the end after a failure", exited)
		if t.Failed() {
			t.Logf("make run:\n%s", &log)
		}
	})
	web := "http://127.0.0.1:" + ports("8000")
	awaitRunning(t, web, exited)

	for _, block := range blocks[1:] {
		for line := range strings.Lines(block) {
			output := shell(t, tree, ports(strings.TrimSpace(line)))
			t.Logf("%s%.300s", line, output)
			if strings.HasPrefix(line, "curl") && len(output) == 0 {
				t.Errorf("%s printed nothing", line)
			}
		}
	}
	harness.Eventually(t, "the edited route to apply", func() bool {
		return strings.Contains(shell(t, tree, "curl "+web+"/api-demo/headers"), "hello again")
	})

	// Ctrl-C reaches the whole group.
	syscall.Kill(-run.Process.Pid, syscall.SIGINT)
	harness.Within(t, "the end after Ctrl-C", exited)
	for _, port := range demoPorts {
		port = ports(port)
		if conn, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil {
			conn.Close()
			t.Errorf("something still listens on port %s after Ctrl-C", port)
		}
	}
}

// choosePorts returns what to replace the quickstart's ports by in a text, and does so in the tree.
func choosePorts(t *testing.T, tree string) func(string) string {
	t.Helper()
	var pairs []string
	taken := false
	for _, port := range demoPorts {
		_, free, _ := net.SplitHostPort(harness.FreeAddress(t))
		pairs = append(pairs, port, free)
		if listener, err := net.Listen("tcp", "127.0.0.1:"+port); err != nil {
			t.Logf("port %s cannot be had: %v", port, err)
			taken = true
		} else {
			listener.Close()
		}
	}
	if !taken {
		return func(text string) string { return text }
	}
	t.Logf("the quickstart's ports are replaced: %q", pairs)
	replace := strings.NewReplacer(pairs...).Replace
	for _, name := range demoFiles {
		path := filepath.Join(tree, name)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(replace(string(text))), info.Mode()); err != nil {
			t.Fatal(err)
		}
	}
	return replace
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
func awaitRunning(t *testing.T, web string, exited <-chan struct{}) {
	t.Helper()
	deadline := time.After(5 * time.Minute)
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for {
		select {
		case <-exited:
			t.Fatal("make run ended")
		case <-deadline:
			t.Fatalf("no answer on %s after five minutes", web)
		case <-poll.C:
		}
		if response, err := http.Get(web + "/"); err == nil {
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
