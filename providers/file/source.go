package file

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/config/load"
	"github.com/pergola-mesh/pergola/config/static"
)

// source is the files and what they last said.
type source struct {
	config static.File
	log    *slog.Logger
	files  map[string]*file // by path
}

// root is the file or directory that everything is read from.
func (s *source) root() string {
	if s.config.Filename != "" {
		return s.config.Filename
	}
	return s.config.Directory
}

// watching is told what is read, before it is read.
type watching interface {
	Dir(dir string)
	File(path string)
}

// unwatched is nobody.
type unwatched struct{}

func (unwatched) Dir(string)  {}
func (unwatched) File(string) {}

// read reads what changed and puts everything together.
func (s *source) read(w watching) dynamic.Update {
	w.File(s.root())
	l := listing{watching: w}
	if s.config.Directory != "" {
		l.directory(s.config.Directory, nil)
	} else {
		l.file(s.config.Filename)
	}

	kept := make(map[string]*file, len(l.paths))
	for path, f := range s.files { // what is below a directory that cannot be read stays
		if slices.ContainsFunc(l.unread, func(dir string) bool { return below(path, dir) }) {
			kept[path] = f
		}
	}
	for _, path := range l.paths {
		f := s.files[path]
		if f == nil {
			f = &file{path: path}
		}
		if gone := f.read(s); !gone || s.config.Directory == "" {
			kept[path] = f
		}
	}
	s.files = kept
	return merge(kept, l.problems)
}

// listing finds the files of a source.
type listing struct {
	watching
	paths    []string
	unread   []string // directories that cannot be read
	problems []dynamic.Problem
}

func (l *listing) file(path string) {
	l.paths = append(l.paths, path)
	l.File(path)
}

// maxDepth bounds the nesting of directories.
const maxDepth = 16

// directory collects the configuration files in and below dir, which is in the directories above. It follows
// symbolic links, but not back to where it is already, and not the names that begin with "..", behind which
// Kubernetes keeps the versions of a ConfigMap, or with ".#", which are an editor's locks.
func (l *listing) directory(dir string, above []fs.FileInfo) {
	info, err := os.Stat(dir)
	if err == nil && slices.ContainsFunc(above, func(a fs.FileInfo) bool { return os.SameFile(a, info) }) {
		return
	}
	l.Dir(dir)
	entries, err := os.ReadDir(dir)
	if err == nil && len(above) > maxDepth {
		err = fmt.Errorf("nested more than %d deep", maxDepth)
	}
	if errors.Is(err, fs.ErrNotExist) && len(above) > 0 {
		return
	}
	if err != nil {
		l.unread = append(l.unread, dir)
		l.problems = append(l.problems, dynamic.Problem{
			Source: dir, Message: fmt.Sprintf("cannot be read, and what was read from it before stays: %v", err),
		})
		return
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if strings.HasPrefix(e.Name(), "..") || strings.HasPrefix(e.Name(), ".#") {
			continue
		}
		isDir := e.IsDir()
		if e.Type()&fs.ModeSymlink != 0 {
			target, err := os.Stat(path)
			isDir = err == nil && target.IsDir()
		}
		if isDir {
			l.directory(path, append(above, info))
		} else if f, ok := load.FormatOf(path); ok && f != load.JSON {
			l.file(path)
		}
	}
}

// below tells whether path is dir or in it.
func below(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, string(filepath.Separator))+string(filepath.Separator))
}
