// Package files reads files that a configuration names, and tells when they may have changed.
package files

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// MaxSize is the longest file that Read reads, in bytes.
const MaxSize = 64 << 20

// Read reads a regular file of at most MaxSize bytes. It does not wait for what never ends, such as a pipe.
func Read(path string) ([]byte, error) {
	info, err := os.Stat(path) // before opening: opening a pipe would block
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("not a regular file")
	case info.Size() > MaxSize:
		return nil, fmt.Errorf("is larger than %d MiB", MaxSize>>20)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, MaxSize+1))
	if err == nil && len(content) > MaxSize {
		err = fmt.Errorf("is larger than %d MiB", MaxSize>>20)
	}
	return content, err
}
