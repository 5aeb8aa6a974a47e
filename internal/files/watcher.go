package files

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// quiet is how long nothing may have happened before files are read: writers take a few steps.
	quiet = 100 * time.Millisecond
	// impatient is how long a stream of events may put reading off.
	impatient = time.Second
	// interval between readings where a directory cannot be watched.
	interval = 5 * time.Second
)

// Watcher tells when files may have changed. It watches directories rather than files, for files are
// replaced more often than they are written: by editors, by atomic renames, by Kubernetes. It is for one
// goroutine.
type Watcher struct {
	events  *fsnotify.Watcher // nil when not watching
	watched map[string]os.FileInfo
	polling bool // some directory cannot be watched
	warned  bool
	log     *slog.Logger

	seen  map[string]bool // directories in which everything is of interest
	names map[string]bool // paths that are of interest by themselves, and all above them
	used  map[string]bool // directories whose watch is wanted
	live  map[string]bool // directories whose watch still stands
}

// NewWatcher returns a watcher of nothing; one that never tells anything when watch is off.
func NewWatcher(watch bool, log *slog.Logger) *Watcher {
	w := &Watcher{watched: map[string]os.FileInfo{}, log: log}
	if !watch {
		return w
	}
	var err error
	if w.events, err = fsnotify.NewWatcher(); err != nil {
		w.events, w.polling = nil, true
		log.Warn("Files cannot be watched and are read at intervals", "interval", interval, "error", err)
	}
	return w
}

// Close ends the watching.
func (w *Watcher) Close() {
	if w.events != nil {
		w.events.Close()
	}
}

// Watching lists the directories that are watched, sorted.
func (w *Watcher) Watching() []string {
	if w.events == nil {
		return nil
	}
	return slices.Sorted(slices.Values(w.events.WatchList()))
}

// Around has read name what it reads, by Dir and File and before it does so, so that no change falls
// between. What it no longer names is no longer watched.
func (w *Watcher) Around(read func()) {
	w.seen, w.names, w.used, w.live = map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}
	if w.events != nil {
		w.polling = false
		for _, dir := range w.events.WatchList() {
			w.live[dir] = true
		}
	}
	read()
	for dir := range w.watched {
		if !w.used[dir] {
			delete(w.watched, dir)
			_ = w.events.Remove(dir) // it may be gone already
		}
	}
}

// Dir names a directory in which every file is of interest.
func (w *Watcher) Dir(dir string) { w.seen[w.add(dir)] = true }

// File names a file or directory that is of interest, which may be where symbolic links lead, and need not
// be there yet. What else is in its directory is not.
func (w *Watcher) File(path string) {
	for range maxLinks {
		path = absolute(path)
		w.name(path)
		target, ok := w.link(path)
		if !ok {
			return
		}
		path = target
	}
}

// maxLinks bounds a chain of symbolic links; they may make a circle.
const maxLinks = 40

// link finds the first symbolic link on a path, and where the path leads with it followed.
func (w *Watcher) link(path string) (target string, ok bool) {
	separator := string(filepath.Separator)
	for end := 1; end <= len(path); end++ {
		if end < len(path) && path[end] != filepath.Separator {
			continue
		}
		info, err := os.Lstat(path[:end])
		if err != nil {
			return "", false
		}
		if info.Mode()&os.ModeSymlink == 0 {
			continue
		}
		to, err := os.Readlink(path[:end])
		if err != nil {
			return "", false
		}
		w.name(path[:end])
		if !filepath.IsAbs(to) {
			to = filepath.Dir(path[:end]) + separator + to
		}
		return to + path[end:], true
	}
	return "", false
}

// name notes a path and all above it: any of these may come, go or lead elsewhere.
func (w *Watcher) name(path string) {
	w.add(filepath.Dir(path))
	for !w.names[path] {
		w.names[path] = true
		path = filepath.Dir(path)
	}
}

// add watches a directory, or the nearest one above it while it does not exist, and returns which.
func (w *Watcher) add(dir string) string {
	if w.events == nil {
		return ""
	}
	dir = absolute(dir)
	if w.used[dir] {
		return dir
	}
	info, err := os.Stat(dir)
	for err != nil && filepath.Dir(dir) != dir {
		dir = filepath.Dir(dir)
		info, err = os.Stat(dir)
	}
	if err != nil || w.used[dir] {
		return dir
	}
	w.used[dir] = true
	if was := w.watched[dir]; was != nil {
		if os.SameFile(was, info) && w.live[dir] {
			return dir
		}
		_ = w.events.Remove(dir) // another directory has taken its place
	}
	if err := w.events.Add(dir); err != nil {
		if !w.warned {
			w.log.Warn("A directory cannot be watched and is read at intervals", "directory", dir, "interval", interval, "error", err)
		}
		w.polling, w.warned = true, true
		return dir
	}
	w.watched[dir], w.live[dir] = info, true
	return dir
}

// Wait returns true when the files should be read, which is also when something comes from wake, and false
// when ctx has ended.
func (w *Watcher) Wait(ctx context.Context, wake <-chan struct{}) bool {
	var events <-chan fsnotify.Event
	var errs <-chan error
	if w.events != nil {
		events, errs = w.events.Events, w.events.Errors
	}
	var poll, settled <-chan time.Time
	if w.polling {
		poll = time.After(interval)
	}
	var latest time.Time
	for {
		select {
		case <-ctx.Done():
			return false
		case <-wake:
			return ctx.Err() == nil
		case <-poll:
			return true
		case <-settled:
			return true
		case e := <-events:
			if !w.concerns(e.Name) {
				continue
			}
		case err := <-errs: // events may have been lost
			w.log.Warn("Watching files", "error", err)
		}
		now := time.Now()
		if latest.IsZero() {
			latest = now.Add(impatient)
		}
		settled = time.After(min(quiet, latest.Sub(now)))
	}
}

// concerns tells whether a change of path may change what is read. Directories that are watched for one
// file may be busy with others.
func (w *Watcher) concerns(path string) bool {
	return w.seen[filepath.Dir(path)] || w.names[path] || strings.HasPrefix(filepath.Base(path), "..")
}

func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return filepath.Clean(path)
}
