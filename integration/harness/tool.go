//go:build linux

package harness

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// Tool is the path of a program that a module below integration/tools lists as a tool. All tools of the
// module are built when one is first needed, and kept in .cache for as long as its go.sum is the same.
func Tool(t testing.TB, module, program string) string {
	t.Helper()
	building.Lock()
	defer building.Unlock()
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(root, "integration", "tools", module)
	sums, err := os.ReadFile(filepath.Join(source, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	directory := filepath.Join(root, ".cache", "tools", fmt.Sprintf("%s-%.6x", module, sha256.Sum256(sums)))
	path := filepath.Join(directory, program)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	// Another test process may be at it too: whoever is last renames over what is there.
	if err := os.MkdirAll(directory, 0o755); err != nil {
		t.Fatal(err)
	}
	unfinished, err := os.MkdirTemp(filepath.Dir(directory), "building-*")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(unfinished)
	build := exec.Command("go", "build", "-buildvcs=false", "-o", unfinished+"/", "tool")
	build.Dir = source
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the tools of %s: %v\n%s", source, err, output)
	}
	programs, err := os.ReadDir(unfinished)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range programs {
		if err := os.Rename(filepath.Join(unfinished, p.Name()), filepath.Join(directory, p.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// building keeps the tests of one process from building the same at once.
var building sync.Mutex
