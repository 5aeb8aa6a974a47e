package file

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/pergola-mesh/pergola/config/dynamic"
)

const (
	// quiet is how long nothing may have happened before files are read: writers take a few steps.
	quiet = 100 * time.Millisecond
	// impatient is how long a stream of events may put reading off.
	impatient = time.Second
	// interval between readings where a directory cannot be watched.
	interval = 5 * time.Second
)

// watcher tells when files may have changed. It watches directories rather than files, for files are
// replaced more often than they are written: by editors, by atomic renames, by Kubernetes.
type watcher struct {
	root    string
	events  *fsnotify.Watcher // nil when not watching
	watched map[string]os.FileInfo
	polling bool // some directory cannot be watched
	warned  bool
	log     *slog.Logger

	seen map[string]bool // directories that files are read from
	live map[string]bool // directories whose watch still stands
}

// newWatcher watches for changes of root, or does nothing when it should not watch.
func newWatcher(root string, watch bool, log *slog.Logger) *watcher {
	w := &watcher{root: absolute(root), watched: map[string]os.FileInfo{}, log: log}
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

func (w *watcher) close() {
	if w.events != nil {
		w.events.Close()
	}
}

// around has read watch the directories it goes through, and forgets those it no longer does.
func (w *watcher) around(read func(watch func(dir string)) dynamic.Update) dynamic.Update {
	w.seen, w.live = map[string]bool{}, map[string]bool{}
	if w.events != nil {
		w.polling = false
		for _, dir := range w.events.WatchList() {
			w.live[dir] = true
		}
	}
	above := w.add(filepath.Dir(w.root)) // where the root comes and goes
	update := read(func(dir string) { w.seen[w.add(dir)] = true })
	for dir := range w.watched {
		if !w.seen[dir] && dir != above {
			delete(w.watched, dir)
			_ = w.events.Remove(dir) // it may be gone already
		}
	}
	return update
}

// add watches a directory, or the nearest one above it while it does not exist, and returns which.
func (w *watcher) add(dir string) string {
	if w.events == nil {
		return ""
	}
	dir = absolute(dir)
	info, err := os.Stat(dir)
	for err != nil && filepath.Dir(dir) != dir {
		dir = filepath.Dir(dir)
		info, err = os.Stat(dir)
	}
	if err != nil || w.seen[dir] {
		return dir
	}
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

// wait returns true when the files should be read, and false when ctx has ended.
func (w *watcher) wait(ctx context.Context, reload <-chan struct{}) bool {
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
		case <-reload:
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

// concerns tells whether a change of path may change what is read. The directory above the root is
// watched too, and may be busy with other things.
func (w *watcher) concerns(path string) bool {
	return w.seen[filepath.Dir(path)] || below(path, w.root) || below(w.root, path) || strings.HasPrefix(filepath.Base(path), "..")
}

// below tells whether path is dir or in it.
func below(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, string(filepath.Separator))+string(filepath.Separator))
}

func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return filepath.Clean(path)
}
