package static

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/config/load"
)

// Sections are the keys at the root of a static configuration. A file may hold a dynamic one beside it.
func Sections() []string { return roots(configuration) }

func roots(t reflect.Type) (names []string) {
	for _, f := range load.Fields(t) {
		names = append(names, f.Name)
	}
	return names
}

// takeDynamic takes out of the static file what is dynamic configuration beside it. The file provider reads that, if
// it reads this file.
func (l *Loaded) takeDynamic(t *load.Tree) *load.Tree {
	sections := roots(reflect.TypeFor[dynamic.Configuration]())
	kept := *t
	kept.Children = nil
	for _, c := range t.Children {
		if slices.ContainsFunc(sections, func(s string) bool { return strings.EqualFold(s, c.Name) }) {
			l.beside = append(l.beside, c)
		} else {
			kept.Children = append(kept.Children, c)
		}
	}
	return &kept
}

// shareFile says which file is the static one, so that the provider passes over what is static in it; and warns of
// dynamic configuration in there that it does not read.
func (l *Loaded) shareFile() {
	f := l.Config.Providers.File
	if f != nil {
		f.Static = l.File
	}
	for _, t := range l.beside {
		if f == nil || !f.reads(l.File) {
			l.Warnings = append(l.Warnings, dynamic.Problem{Source: t.Source, Line: t.Line, Key: t.Name,
				Message: "has no effect here: it is dynamic configuration, which is read from what providers.file names, and that is not this file"})
		}
	}
}

// reads tells whether a file is among those that the provider reads.
func (f *File) reads(path string) bool {
	if f.Filename != "" {
		return f.IsStatic(f.Filename)
	}
	dir, err := filepath.Abs(f.Directory)
	if err != nil {
		return false
	}
	if path, err = filepath.Abs(path); err != nil {
		return false
	}
	below, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(below)
}

// IsStatic tells whether a file that the provider reads is the static configuration too.
func (f *File) IsStatic(path string) bool {
	if f.Static == "" {
		return false
	}
	read, err := os.Stat(path)
	if err != nil {
		return false
	}
	own, err := os.Stat(f.Static)
	return err == nil && os.SameFile(read, own)
}
