package oplog

import (
	"bytes"
	"io"
	"os"
)

// terminal reports whether a person is likely to read f as it is written.
func terminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// painter colours the level of each line. The handler before it writes a line at a time, escaped.
type painter struct{ out io.Writer }

var (
	levelKey = []byte(" level=")
	reset    = []byte("\x1b[0m")
	colors   = map[string]string{
		"TRACE": "\x1b[90m", "DEBUG": "\x1b[36m", "INFO": "\x1b[32m", "WARN": "\x1b[33m",
		"ERROR": "\x1b[31m", "FATAL": "\x1b[1;31m", "PANIC": "\x1b[1;31m",
	}
)

// Write writes a line. The level comes before anything that is not ours.
func (p *painter) Write(line []byte) (int, error) {
	before, rest, found := bytes.Cut(line, levelKey)
	level, after, _ := bytes.Cut(rest, []byte{' '})
	color := colors[string(level)]
	if !found || color == "" {
		return p.out.Write(line)
	}
	painted := bytes.Join([][]byte{before, levelKey, []byte(color), level, reset, {' '}, after}, nil)
	if _, err := p.out.Write(painted); err != nil {
		return 0, err
	}
	return len(line), nil
}
