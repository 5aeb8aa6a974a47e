// Package logfile is a file that logs are appended to, rotated here or by others.
package logfile

import (
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"sync"

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
	rotate io.WriteCloser

	mu   sync.Mutex
	torn bool // what was written last stopped within a line
}

// Open opens a file for appending, making it and its directories when they do not exist.
func Open(path string, r static.Rotation) (*File, error) {
	rotate := &lumberjack.Logger{
		Filename: path, MaxSize: r.MaxSize, MaxAge: r.MaxAge, MaxBackups: r.MaxBackups, Compress: r.Compress,
	}
	if r.MaxSize <= 0 || !regular(path) {
		rotate.MaxSize = math.MaxInt32 // the library's 0 is 100 MB
	}
	f := &File{path: path, rotate: rotate}
	if err := f.prepare(); err != nil {
		return f, err
	}
	return f, f.begin()
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
	return nil
}

// begin opens the file, so that one that is moved away later still gets what comes before Reopen.
func (f *File) begin() error {
	_, err := f.rotate.Write(nil)
	return err
}

// Write appends p, whole lines. Behind a line that a full disk cut short it begins a new one.
func (f *File) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.torn {
		if _, err := f.rotate.Write(newline); err != nil {
			return 0, err
		}
		f.torn = false
	}
	n, err := f.rotate.Write(p)
	f.torn = n > 0 && p[n-1] != '\n'
	return n, err
}

var newline = []byte{'\n'}

// Reopen lets go of the file that is open and goes on in the one that is at the path now, for
// whoever moved it away. If none can be written there, it goes on in the old one.
func (f *File) Reopen() error {
	if err := f.prepare(); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.torn = false
	if err := f.rotate.Close(); err != nil {
		return fmt.Errorf("log file %s: %w", f.path, err)
	}
	return f.begin()
}

// Close closes the file. A later Write opens it again.
func (f *File) Close() error { return f.rotate.Close() }
