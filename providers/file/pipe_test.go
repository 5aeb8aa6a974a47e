//go:build unix

package file

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/pergola-mesh/pergola/config/static"
)

// TestPipe: a named pipe, which would block whoever opens it, is a problem.
func TestPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "routes.yaml")
	if err := syscall.Mkfifo(path, 0o644); err != nil {
		t.Fatal(err)
	}
	u := Read(static.File{Filename: path}, silent())
	if len(u.Problems) != 1 || !strings.Contains(u.Problems[0].Message, "not a regular file") {
		t.Errorf("got %v", u.Problems)
	}
}
