// Package logfile is a file that logs are appended to, rotated here or by others.
package logfile

import (
	"fmt"
	"math"
	"os"
	"path/filepath"

	"gopkg.in/natefinch/lumberjack.v2"

	"github.com/pergola-mesh/pergola/config/static"
)

// Log files are for the gateway and its group to read.
const (
	fileMode      = 0o640
	directoryMode = 0o750
)

// File appends to a path. It is safe for concurrent use.
type File struct {
	path   string
	rotate *lumberjack.Logger
}

// Open opens a file for appending, making it and its directories when they do not exist.
func Open(path string, r static.Rotation) (*File, error) {
	f := &File{path: path, rotate: &lumberjack.Logger{
		Filename: path, MaxSize: r.MaxSize, MaxAge: r.MaxAge, MaxBackups: r.MaxBackups, Compress: r.Compress,
	}}
	if r.MaxSize <= 0 || !regular(path) {
		f.rotate.MaxSize = math.MaxInt32 // the library's 0 is 100 MB
	}
	return f, f.prepare()
}

// regular reports whether path is, or will be, an ordinary file: a pipe or device is never rotated.
func regular(path string) bool {
	info, err := os.Stat(path)
	return err != nil || info.Mode().IsRegular()
}

// prepare makes the file if need be, and finds out now whether it can be written.
func (f *File) prepare() error {
	if err := os.MkdirAll(filepath.Dir(f.path), directoryMode); err != nil {
		return fmt.Errorf("log file %s: %w", f.path, err)
	}
	file, err := os.OpenFile(f.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, fileMode)
	if err != nil {
		return fmt.Errorf("log file: %w", err)
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("log file: %w", err)
	}
	_, err = f.rotate.Write(nil) // opens it, so that a file moved away later still gets what came before
	return err
}

// Write appends p.
func (f *File) Write(p []byte) (int, error) { return f.rotate.Write(p) }

// Reopen lets go of the file that is open and goes on in the one that is at the path now, for
// whoever moved it away.
func (f *File) Reopen() error {
	if err := f.rotate.Close(); err != nil {
		return fmt.Errorf("log file %s: %w", f.path, err)
	}
	return f.prepare()
}

// Close closes the file. A later Write opens it again.
func (f *File) Close() error { return f.rotate.Close() }
