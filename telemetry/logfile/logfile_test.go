package logfile

import (
	"errors"
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

// narrow is a disk with room for so many bytes.
type narrow struct {
	room    int
	written []byte
}

func (d *narrow) Write(p []byte) (int, error) {
	n := min(len(p), d.room)
	d.room -= n
	d.written = append(d.written, p[:n]...)
	if n < len(p) {
		return n, errors.New("no space left")
	}
	return n, nil
}

func (d *narrow) Close() error { return nil }

func TestALineBeginsBehindOneThatWasTorn(t *testing.T) {
	disk := &narrow{room: 7}
	f := &File{rotate: disk}
	for _, tt := range []struct {
		free int // before the line
		n    int
	}{{0, 4}, {0, 3}, {0, 0}, {1, 0}, {9, 4}, {0, 4}, {0, 1}, {9, 4}} {
		disk.room += tt.free
		if n, err := f.Write([]byte("abc\n")); n != tt.n || (err == nil) != (n == 4) {
			t.Errorf("%d, %v, want %d: %q", n, err, tt.n, disk.written)
		}
	}
	if got := string(disk.written); got != "abc\nabc\nabc\nabc\na\nabc\n" {
		t.Errorf("wrote %q", got)
	}
}

func TestAFileThatCannotBeReopenedIsKept(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "log")
	f, err := Open(filepath.Join(folder, "access.log"), static.Rotation{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	moved := folder + ".1"
	if err := os.Rename(folder, moved); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(folder, nil, 0o600); err != nil { // nothing can be made below it
		t.Fatal(err)
	}
	if err := f.Reopen(); err == nil {
		t.Error("reopened what cannot be opened")
	}
	if _, err := f.Write([]byte("line\n")); err != nil {
		t.Error(err)
	}
	if text, err := os.ReadFile(filepath.Join(moved, "access.log")); string(text) != "line\n" {
		t.Errorf("%q, %v", text, err)
	}
	if err := os.Remove(folder); err != nil {
		t.Fatal(err)
	}
	if err := f.Reopen(); err != nil {
		t.Fatal(err)
	}
	f.Write([]byte("line\n"))
	if text, err := os.ReadFile(filepath.Join(folder, "access.log")); string(text) != "line\n" {
		t.Errorf("%q, %v", text, err)
	}
}
