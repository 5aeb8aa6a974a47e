package files

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Whatever way a file gets another content, the watcher tells.
func TestEveryWayToReplaceAFile(t *testing.T) {
	for name, c := range map[string]struct {
		path           string
		before, change func(t *testing.T, dir string)
	}{
		"written": {"f", func(t *testing.T, dir string) { write(t, dir+"/f", "1") }, func(t *testing.T, dir string) { write(t, dir+"/f", "2") }},
		"renamed over": {"f", func(t *testing.T, dir string) { write(t, dir+"/f", "1"); write(t, dir+"/new", "2") },
			func(t *testing.T, dir string) { check(t, os.Rename(dir+"/new", dir+"/f")) }},
		"made": {"a/b/f", func(*testing.T, string) {}, func(t *testing.T, dir string) { write(t, dir+"/a/b/f", "2") }},
		"symbolic link led elsewhere": {"live/f", func(t *testing.T, dir string) {
			write(t, dir+"/archive/f1", "1")
			write(t, dir+"/archive/f2", "2")
			check(t, os.Mkdir(dir+"/live", 0o755))
			check(t, os.Symlink("../archive/f1", dir+"/live/f"))
		}, func(t *testing.T, dir string) {
			check(t, os.Symlink("../archive/f2", dir+"/live/.f"))
			check(t, os.Rename(dir+"/live/.f", dir+"/live/f"))
		}},
		"written behind symbolic links": {"one", func(t *testing.T, dir string) {
			write(t, dir+"/deep/f", "1")
			check(t, os.Symlink("deep/f", dir+"/two"))
			check(t, os.Symlink(dir+"/two", dir+"/one"))
		}, func(t *testing.T, dir string) { write(t, dir+"/deep/f", "2") }},
		"Kubernetes swaps its version": {"f", func(t *testing.T, dir string) {
			write(t, dir+"/..1/f", "1")
			write(t, dir+"/..2/f", "2")
			check(t, os.Symlink("..1", dir+"/..data"))
			check(t, os.Symlink("..data/f", dir+"/f"))
		}, func(t *testing.T, dir string) {
			check(t, os.Symlink("..2", dir+"/..tmp"))
			check(t, os.Rename(dir+"/..tmp", dir+"/..data"))
		}},
		"a directory above is a symbolic link led elsewhere": {"current/tls/f", func(t *testing.T, dir string) {
			write(t, dir+"/r1/tls/f", "1")
			write(t, dir+"/r2/tls/f", "2")
			check(t, os.Symlink("r1", dir+"/current"))
		}, func(t *testing.T, dir string) {
			check(t, os.Symlink("r2", dir+"/next"))
			check(t, os.Rename(dir+"/next", dir+"/current"))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			c.before(t, dir)
			w := NewWatcher(true, slog.New(slog.DiscardHandler))
			defer w.Close()
			w.Around(func() { w.File(filepath.Join(dir, c.path)) })
			c.change(t, dir)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if !w.Wait(ctx, nil) {
				t.Error("the change went unnoticed")
			}
			if got, err := Read(filepath.Join(dir, c.path)); err != nil || string(got) != "2" {
				t.Errorf("the file is %q: %v", got, err)
			}
		})
	}
}

func TestConcerns(t *testing.T) {
	w := NewWatcher(false, slog.New(slog.DiscardHandler))
	w.Around(func() {
		w.File("/etc/pergola/dynamic")
		w.seen["/srv"] = true
		w.seen["/etc/pergola/dynamic"] = true
	})
	for path, want := range map[string]bool{
		"/etc/pergola/dynamic":        true,
		"/etc/pergola/dynamic/b.yaml": true,
		"/etc/pergola":                true, // it came or went
		"/etc/pergola/..data":         true,
		"/srv/routes.yaml":            true,
		"/etc/pergola/pergola.toml":   false,
		"/etc/pergola/dynamic.bak":    false,
	} {
		if got := w.concerns(path); got != want {
			t.Errorf("%s: got %t", path, got)
		}
	}
}

// Circles of symbolic links come to an end.
func TestCircle(t *testing.T) {
	dir := t.TempDir()
	check(t, os.Symlink("b", dir+"/a"))
	check(t, os.Symlink("a", dir+"/b"))
	w := NewWatcher(true, slog.New(slog.DiscardHandler))
	defer w.Close()
	w.Around(func() { w.File(dir + "/a") })
	if got := w.Watching(); len(got) != 1 || got[0] != dir {
		t.Errorf("it watches %q", got)
	}
}

func TestReadRefusesWhatIsNoFile(t *testing.T) {
	if _, err := Read(t.TempDir()); err == nil {
		t.Error("a directory was read")
	}
}
