package logfile

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/config/static"
)

func TestFilesAreRotatedBySize(t *testing.T) {
	directory := t.TempDir()
	path := filepath.Join(directory, "access.log")
	f, err := Open(path, static.Rotation{MaxSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for range 3 {
		// The names of rotated files tell milliseconds apart.
		for last := time.Now().UnixMilli(); time.Now().UnixMilli() == last; {
		}
		if _, err := f.Write(make([]byte, 700<<10)); err != nil {
			t.Fatal(err)
		}
	}
	if files, err := os.ReadDir(directory); err != nil || len(files) != 3 {
		t.Errorf("%d files, %v, want 3", len(files), err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&0o007 != 0 {
		t.Errorf("mode %v, %v: others may read it", info.Mode(), err)
	}
}

func TestWithoutASizeNothingIsRotated(t *testing.T) {
	directory := t.TempDir()
	path := filepath.Join(directory, "access.log")
	if err := os.WriteFile(path, nil, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 1<<30); err != nil { // a sparse gigabyte
		t.Fatal(err)
	}
	f, err := Open(path, static.Rotation{MaxBackups: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write([]byte("line\n")); err != nil {
		t.Fatal(err)
	}
	if files, err := os.ReadDir(directory); err != nil || len(files) != 1 {
		t.Errorf("%d files, %v, want 1", len(files), err)
	}
}
