package accesslog

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pergola-mesh/pergola/config/static"
)

// stuck is an output that is as slow, or as broken, as a test wants.
type stuck struct {
	mu      sync.Mutex // held: writes wait
	err     error
	written strings.Builder
	reopens int
}

func (s *stuck) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return 0, s.err
	}
	return s.written.Write(p)
}

func (s *stuck) Reopen() error { s.reopens++; return nil }
func (s *stuck) Close() error  { return nil }

func TestASlowOutputLosesLinesAndHoldsUpNobody(t *testing.T) {
	out := &stuck{}
	w := newWriter(out, 0, quiet)
	out.mu.Lock()
	const lines = 5 * defaultLines
	for i := range lines {
		w.add(fmt.Appendf(nil, "%d\n", i))
	}
	out.mu.Unlock()
	if err := w.close(); err != nil {
		t.Fatal(err)
	}
	last, written := -1, 0
	for line := range strings.Lines(out.written.String()) {
		var n int
		if _, err := fmt.Sscan(line, &n); err != nil || n <= last {
			t.Fatalf("%d, then %q: %v", last, line, err)
		}
		last = n
		written++
	}
	lost := w.dropped.Load()
	if lost == 0 || int(lost)+written != lines {
		t.Errorf("%d lines written and %d lost of %d", written, lost, lines)
	}
}

func TestPendingBytesAreBounded(t *testing.T) {
	out := &stuck{}
	w := newWriter(out, 0, quiet)
	out.mu.Lock()
	line := make([]byte, 1<<20)
	for range 100 {
		w.add(line)
	}
	w.mu.Lock()
	pending := w.size + len(w.last)
	w.mu.Unlock()
	out.mu.Unlock()
	w.close()
	if pending > maxPending || w.dropped.Load() == 0 {
		t.Errorf("%d bytes pending, %d lines lost", pending, w.dropped.Load())
	}
}

func TestLinesAreWrittenSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &stuck{}
		w := newWriter(out, 0, quiet)
		for i := range 3 {
			w.add(fmt.Appendf(nil, "%d", i))
			time.Sleep(gather)
			synctest.Wait()
			if got := out.written.Len(); got != i+1 {
				t.Errorf("%d bytes written, want %d", got, i+1)
			}
		}
		w.close()
	})
}

func TestMuchIsWrittenAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &stuck{}
		w := newWriter(out, 0, quiet)
		start := time.Now()
		line := make([]byte, chunk/4)
		for range 5 {
			w.add(line)
		}
		synctest.Wait()
		if out.written.Len() != 5*len(line) || time.Since(start) != 0 {
			t.Errorf("%d bytes after %v", out.written.Len(), time.Since(start))
		}
		w.close()
	})
}

func TestALineLongerThanAChunkIsWhole(t *testing.T) {
	out := &stuck{}
	w := newWriter(out, 0, quiet)
	w.add([]byte("a\n"))
	w.add([]byte(strings.Repeat("b", 3*chunk) + "\n"))
	w.add([]byte("c\n"))
	w.close()
	if got := out.written.String(); got != "a\n"+strings.Repeat("b", 3*chunk)+"\nc\n" {
		t.Errorf("%d bytes", len(got))
	}
}

func TestABrokenOutputIsReportedOnce(t *testing.T) {
	var said strings.Builder
	out := &stuck{err: errors.New("disk full")}
	w := newWriter(out, 0, slog.New(slog.NewTextHandler(&said, nil)))
	for range 3 {
		w.add([]byte("lost\n"))
		w.flush()
	}
	out.mu.Lock()
	out.err = nil
	out.mu.Unlock()
	w.add([]byte("kept\n"))
	w.close()
	if w.dropped.Load() != 3 || out.written.String() != "kept\n" {
		t.Errorf("%d lost, wrote %q", w.dropped.Load(), out.written.String())
	}
	if s := said.String(); strings.Count(s, "disk full") != 1 || strings.Count(s, "written again") != 1 {
		t.Errorf("said %q", s)
	}
	w.add([]byte("late\n"))
	if w.dropped.Load() != 4 || w.close() != nil {
		t.Error("a line after close is not counted as lost")
	}
}

func TestReopenFollowsAFileThatWasMoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sub", "access.log")
	l, err := New(&static.AccessLog{Format: "genericCLF", FilePath: path}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	x := typical()
	l.Observe(x)
	moved := path + ".1"
	if err := os.Rename(path, moved); err != nil {
		t.Fatal(err)
	}
	if err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	x.Response.Status = 299
	l.Observe(x)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{moved: " 200 ", path: " 299 "} {
		text, err := os.ReadFile(file)
		if err != nil || strings.Count(string(text), "\n") != 1 || !strings.Contains(string(text), want) {
			t.Errorf("%s has %q (%v), want a line with %q", file, text, err, want)
		}
	}
}
