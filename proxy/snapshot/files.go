package snapshot

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"sync/atomic"

	"github.com/pergola-mesh/pergola/internal/files"
)

// content is what a file was when it was last read.
type content struct {
	text []byte
	err  error
}

func (b *Builder) read(path string) *content {
	c := &content{}
	c.text, c.err = b.options.ReadFile(path)
	return c
}

func (c *content) same(d *content) bool {
	if c.err != nil || d.err != nil {
		return c.err != nil && d.err != nil && c.err.Error() == d.err.Error()
	}
	return bytes.Equal(c.text, d.text)
}

// readFile reads a file that the object being built names. The object is built again when Refresh finds
// another content.
func (b *Builder) readFile(path string) ([]byte, error) {
	n := b.graph.node(id{aFile, path})
	b.graph.depend(n)
	if n.value == nil {
		n.value = b.read(path)
		b.graph.files = nil
	}
	c := n.value.(*content)
	return c.text, c.err
}

// Files are the files that objects were made of, or should have been, sorted. Do not change it.
func (b *Builder) Files() []string {
	if b.graph.files == nil {
		b.graph.files = []string{}
		for i := range b.graph.nodes {
			if i.kind == aFile {
				b.graph.files = append(b.graph.files, i.name)
			}
		}
		slices.Sort(b.graph.files)
	}
	return b.graph.files
}

// Refresh reads these files again, and builds what was made of those that changed, or of an identity of the
// gateway's that was replaced, as Apply does. An
// object that cannot be made of its files any more stays as it was, and says so.
func (b *Builder) Refresh() (*Snapshot, Report) {
	var changed []*node
	for _, path := range b.Files() {
		n := b.graph.node(id{aFile, path})
		if now := b.read(path); n.value == nil || !now.same(n.value.(*content)) {
			n.value = now
			changed = append(changed, n)
		}
	}
	if n := b.replacedIdentity(); n != nil {
		changed = append(changed, n)
	}
	return b.apply("files", changed)
}

// watch tells when the files of a configuration may have changed. Nothing runs while there are none.
type watch struct {
	paths   atomic.Pointer[[]string]
	woken   chan struct{} // the paths are others
	changed chan struct{}
	running bool
}

func newWatch() *watch { return &watch{woken: make(chan struct{}, 1), changed: make(chan struct{}, 1)} }

// set replaces the files that are watched.
func (w *watch) set(ctx context.Context, paths []string, log *slog.Logger) {
	if before := w.paths.Load(); before != nil && slices.Equal(*before, paths) || before == nil && len(paths) == 0 {
		return
	}
	w.paths.Store(&paths)
	if !w.running {
		w.running = true
		go w.run(ctx, log)
	}
	signal(w.woken)
}

// run watches until ctx ends.
func (w *watch) run(ctx context.Context, log *slog.Logger) {
	watcher := files.NewWatcher(true, log)
	defer watcher.Close()
	for {
		watcher.Around(func() {
			for _, path := range *w.paths.Load() {
				watcher.File(path)
			}
		})
		signal(w.changed) // they may have before they were watched
		if !watcher.Wait(ctx, w.woken) {
			return
		}
	}
}

// signal puts something into a channel for one, unless something is there.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
