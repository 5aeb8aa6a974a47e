// Package accesslog writes a line for every finished exchange, in the formats and with the field
// names of Traefik v3.
//
// A line is put together on the goroutine that served the exchange, without allocating, and handed
// to one writer, which never makes anybody wait.
package accesslog

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pergola-mesh/pergola/config/static"
	"github.com/pergola-mesh/pergola/internal/clock"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/telemetry/logfile"
)

// Log is an access log. It is an exchange.Observer, safe for concurrent use.
type Log struct {
	format     func(l *Log, b []byte, e *entry) []byte
	filter     filter
	kept       [fieldCount]bool
	keptOwn    map[string]bool // of streamFields
	structured bool            // lines are JSON
	layout     layout
	request    headerModes
	response   headerModes
	query      queryModes
	stamps     stamps
	count      atomic.Uint64 // requests, since the start
	entries    sync.Pool     // *entry
	writer     *writer
}

// entry is a line in the making.
type entry struct {
	x     *exchange.Exchange
	stamp *stamp // of the second in which it started
	nanos int64  // since that second began
	count uint64
	line  []byte
}

// New starts an access log as configured. The logger is told when lines are lost. Close it.
func New(c *static.AccessLog, logger *slog.Logger) (*Log, error) {
	l, err := newLog(c, logger)
	if err != nil {
		return nil, fmt.Errorf("accessLog: %w", err)
	}
	var out output = standardOutput{os.Stdout}
	if c.FilePath != "" {
		if out, err = logfile.Open(c.FilePath, c.Rotation); err != nil {
			return nil, fmt.Errorf("accessLog: %w", err)
		}
	}
	l.writer = newWriter(out, c.BufferingSize, logger)
	return l, nil
}

// newLog is New without an output.
func newLog(c *static.AccessLog, logger *slog.Logger) (*Log, error) {
	l := &Log{entries: sync.Pool{New: func() any { return new(entry) }}}
	switch c.Format {
	case "", "common":
		l.format = (*Log).common
	case "genericCLF":
		l.format = (*Log).genericCLF
	case "json":
		l.format, l.structured = (*Log).json, true
	default:
		return nil, fmt.Errorf("format: %q is not a format: use common, genericCLF or json", c.Format)
	}
	var err error
	if l.filter, err = newFilter(c.Filters); err != nil {
		return nil, err
	}
	if l.kept, err = chooseFields(&c.Fields, logger); err != nil {
		return nil, err
	}
	if l.keptOwn, err = chooseStreamFields(&c.Fields); err != nil {
		return nil, err
	}
	l.layout = newLayout(&l.kept)
	if l.request, l.response, err = newHeaderModes(c.Fields.Headers); err != nil {
		return nil, err
	}
	l.query, err = newQueryModes(c.Fields.QueryParameters)
	return l, err
}

// Observe logs a finished exchange.
func (l *Log) Observe(x *exchange.Exchange) {
	if x.Record.Unlogged {
		return
	}
	count := l.count.Add(1)
	if !l.filter.keeps(x) {
		return
	}
	e := l.entries.Get().(*entry)
	e.begin(l, x.Record.Start, count)
	e.x = x
	e.line = l.format(l, e.line[:0], e)
	l.writer.add(e.line)
	e.x = nil
	if cap(e.line) <= maxKeptLine {
		l.entries.Put(e)
	}
}

// begin makes e ready for what started at a moment of package clock.
func (e *entry) begin(l *Log, start int64, count uint64) {
	at := clock.Unix(start)
	e.count, e.nanos = count, at%int64(time.Second)
	e.stamp = l.stamps.of(at / int64(time.Second))
}

// end is the stamp of when what took duration, in nanoseconds, ended.
func (e *entry) end(l *Log, duration int64) *stamp {
	if after := e.nanos + duration; after >= int64(time.Second) {
		return l.stamps.of(e.stamp.second + after/int64(time.Second))
	}
	return e.stamp
}

// maxKeptLine is the largest buffer for a line that is used again, in bytes.
const maxKeptLine = 64 << 10

// Dropped is the number of lines that were lost, because the disk was slow or full.
func (l *Log) Dropped() uint64 { return l.writer.dropped.Load() }

// Reopen goes on in a new file at the same path, for whoever has moved the file away.
func (l *Log) Reopen() error { return l.writer.reopen() }

// Close writes what is pending and closes the file.
func (l *Log) Close() error { return l.writer.close() }

// standardOutput is neither reopened nor closed.
type standardOutput struct{ io.Writer }

func (standardOutput) Reopen() error { return nil }
func (standardOutput) Close() error  { return nil }
