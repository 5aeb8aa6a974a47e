// Package oplog makes the operations log: what the gateway has to say about itself.
package oplog

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/pergola-mesh/pergola/config/static"
	"github.com/pergola-mesh/pergola/telemetry/logfile"
)

// Levels beyond those of slog, for Traefik's names.
const (
	LevelTrace = slog.LevelDebug - 4
	LevelFatal = slog.LevelError + 4
	LevelPanic = slog.LevelError + 8
)

var levels = []struct {
	name  string
	level slog.Level
}{
	{"TRACE", LevelTrace}, {"DEBUG", slog.LevelDebug}, {"INFO", slog.LevelInfo}, {"WARN", slog.LevelWarn},
	{"ERROR", slog.LevelError}, {"FATAL", LevelFatal}, {"PANIC", LevelPanic},
}

// ParseLevel knows a level by its name, in any case; empty is ERROR, Traefik's default.
func ParseLevel(name string) (slog.Level, error) {
	if name == "" {
		return slog.LevelError, nil
	}
	if strings.EqualFold(name, "WARNING") {
		return slog.LevelWarn, nil
	}
	for _, l := range levels {
		if strings.EqualFold(l.name, name) {
			return l.level, nil
		}
	}
	return 0, fmt.Errorf("level: %q is not a level: use TRACE, DEBUG, INFO, WARN, ERROR, FATAL or PANIC", name)
}

func levelName(level slog.Level) string {
	for i := len(levels) - 1; i > 0; i-- {
		if level >= levels[i].level {
			return levels[i].name
		}
	}
	return levels[0].name
}

// Log is a logger and the file behind it.
type Log struct {
	*slog.Logger
	// Level can be changed while the log is in use.
	Level *slog.LevelVar
	file  *logfile.File // nil for standard output
}

// New makes the log as configured. Close it last.
func New(c *static.Log) (*Log, error) {
	l, err := newLog(c, os.Stdout, !c.NoColor && c.FilePath == "" && terminal(os.Stdout))
	if err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	return l, nil
}

func newLog(c *static.Log, out io.Writer, color bool) (*Log, error) {
	level, err := ParseLevel(c.Level)
	if err != nil {
		return nil, err
	}
	l := &Log{Level: new(slog.LevelVar)}
	l.Level.Set(level)
	if c.FilePath != "" {
		if l.file, err = logfile.Open(c.FilePath, c.Rotation); err != nil {
			return nil, err
		}
		out = l.file
	}
	options := &slog.HandlerOptions{Level: l.Level, ReplaceAttr: replace}
	switch c.Format {
	case "json":
		l.Logger = slog.New(slog.NewJSONHandler(out, options))
	case "", "common", "text":
		if color {
			out = &painter{out: out}
		}
		l.Logger = slog.New(slog.NewTextHandler(out, options))
	default:
		return nil, fmt.Errorf("format: %q is not a format: use common or json", c.Format)
	}
	return l, nil
}

// replace gives levels our names, and errors and durations a form that reads well in both formats.
func replace(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.LevelKey {
		if level, ok := a.Value.Any().(slog.Level); ok {
			return slog.String(slog.LevelKey, levelName(level))
		}
	}
	if a.Value.Kind() == slog.KindDuration {
		return slog.String(a.Key, a.Value.Duration().String())
	}
	return a
}

// Reopen goes on in a new file at the same path; on standard output it does nothing.
func (l *Log) Reopen() error {
	if l.file == nil {
		return nil
	}
	return l.file.Reopen()
}

// Close closes the file.
func (l *Log) Close() error {
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}
