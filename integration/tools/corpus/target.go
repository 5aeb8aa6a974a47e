package main

import (
	"errors"
	"io/fs"
	"math/bits"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// target is a fuzz target.
type target struct {
	pkg, dir, name string
	found          string // where Go keeps what it has found
}

// input is one file of a corpus.
type input struct {
	name      string
	text      []byte
	committed bool
	reaches   []feature
}

// feature is a block of code and how often it ran, by powers of two.
type feature struct {
	block string
	times int
}

// bench is a target's package compiled to count what runs, in a folder of its own with every input.
type bench struct {
	*target
	work   string
	inputs []*input
}

// build compiles the target and lays out its folder: as the package's, but for the corpus.
func (t *target) build() (*bench, error) {
	work, err := os.MkdirTemp("", "corpus")
	if err != nil {
		return nil, err
	}
	b := &bench{target: t, work: work}
	if err := errors.Join(
		run(t.dir, "go", "test", "-c", "-covermode=count", "-coverpkg="+t.pkg, "-o", filepath.Join(work, "target"), "."),
		link(t.dir, filepath.Join(work, "in"), "testdata"),
		link(filepath.Join(t.dir, "testdata"), filepath.Join(work, "in", "testdata"), "fuzz"),
		b.gather(filepath.Join(t.dir, "testdata", "fuzz", t.name), true),
		b.gather(t.found, false),
	); err != nil {
		os.RemoveAll(work)
		return nil, err
	}
	return b, nil
}

// link makes a folder with links to all that is in from, but for one name.
func link(from, to, except string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if e.Name() == except {
			continue
		}
		if err := os.Symlink(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// gather adds the inputs of a folder, which need not be there.
func (b *bench) gather(from string, committed bool) error {
	corpus := filepath.Join(b.work, "in", "testdata", "fuzz", b.name)
	if err := os.MkdirAll(corpus, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(from, e.Name()))
		if err != nil {
			return err
		}
		to := filepath.Join(corpus, e.Name())
		if _, err := os.Stat(to); err == nil || len(text) > maxInput && !committed {
			continue
		}
		if err := os.WriteFile(to, text, 0o644); err != nil {
			return err
		}
		b.inputs = append(b.inputs, &input{name: e.Name(), text: text, committed: committed})
	}
	return nil
}

// reach runs the inputs whose names match and returns what ran.
func (b *bench) reach(names string) ([]feature, error) {
	profile := filepath.Join(b.work, "profile")
	err := run(filepath.Join(b.work, "in"), filepath.Join(b.work, "target"),
		"-test.run", "^"+b.name+"$/"+names, "-test.coverprofile", profile, "-test.timeout", "1m")
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(profile)
	if err != nil {
		return nil, err
	}
	var all []feature
	for line := range strings.Lines(string(text)) { // FILE:FROM,TO STATEMENTS TIMES
		f := strings.Fields(line)
		if len(f) != 3 {
			continue // the heading
		}
		if times, err := strconv.ParseUint(f[2], 10, 64); err == nil && times > 0 {
			all = append(all, feature{f[0], bits.Len64(times)})
		}
	}
	return all, nil
}
