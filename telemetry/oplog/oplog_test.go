package oplog

import (
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/config/static"
)

func TestLevelsHaveTraefiksNames(t *testing.T) {
	for name, want := range map[string]slog.Level{
		"": slog.LevelError, "trace": LevelTrace, "DEBUG": slog.LevelDebug, "Info": slog.LevelInfo,
		"WARN": slog.LevelWarn, "warning": slog.LevelWarn, "ERROR": slog.LevelError, "FATAL": LevelFatal, "PANIC": LevelPanic,
	} {
		if got, err := ParseLevel(name); got != want || err != nil {
			t.Errorf("%q is %v, %v; want %v", name, got, err, want)
		}
	}
	for level, want := range map[slog.Level]string{LevelTrace: "TRACE", LevelTrace - 9: "TRACE", slog.LevelInfo + 1: "INFO", LevelPanic + 9: "PANIC"} {
		if got := levelName(level); got != want {
			t.Errorf("%d is %s, want %s", level, got, want)
		}
	}
}

func TestBadConfigurationIsRefused(t *testing.T) {
	for want, c := range map[string]*static.Log{
		`log: level: "LOUD"`: {Level: "LOUD"},
		`log: format: "xml"`: {Format: "xml"},
		"log: log file":      {FilePath: filepath.Join(os.DevNull, "x", "pergola.log")},
	} {
		if _, err := New(c); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s…", err, want)
		}
	}
}

func TestFormats(t *testing.T) {
	for format, check := range map[string]func(line string) bool{
		"common": func(line string) bool {
			return strings.HasSuffix(line, ` level=TRACE msg="it says \"x\"\ny" error=bad took=1.5s`+"\n")
		},
		"json": func(line string) bool {
			var m map[string]any
			return json.Unmarshal([]byte(line), &m) == nil && m["level"] == "TRACE" && m["error"] == "bad" && m["took"] == "1.5s"
		},
	} {
		var out strings.Builder
		l, err := newLog(&static.Log{Level: "TRACE", Format: format}, &out, false)
		if err != nil {
			t.Fatal(err)
		}
		l.Log(t.Context(), LevelTrace, "it says \"x\"\ny", "error", errors.New("bad"), "took", 1500*time.Millisecond)
		if !check(out.String()) {
			t.Errorf("%s: %q", format, out.String())
		}
	}
}

func TestTheLevelCanBeChanged(t *testing.T) {
	var out strings.Builder
	l, err := newLog(&static.Log{}, &out, false)
	if err != nil {
		t.Fatal(err)
	}
	l.Info("no")
	l.Level.Set(slog.LevelInfo)
	l.Info("yes")
	if s := out.String(); strings.Contains(s, "no") || !strings.Contains(s, "yes") {
		t.Errorf("got %q", s)
	}
}

func TestColorIsPutOnTheLevelOnly(t *testing.T) {
	var out strings.Builder
	l, err := newLog(&static.Log{}, &out, true)
	if err != nil {
		t.Fatal(err)
	}
	l.Error("\x1b[0m level=INFO ")
	if s := out.String(); !strings.Contains(s, " level=\x1b[31mERROR\x1b[0m msg=") || strings.Count(s, "\x1b") != 2 {
		t.Errorf("got %q", s)
	}
}

func TestReopenFollowsAFileThatWasMoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pergola.log")
	l, err := New(&static.Log{FilePath: path})
	if err != nil {
		t.Fatal(err)
	}
	l.Error("one")
	if err := errors.Join(os.Rename(path, path+".1"), l.Reopen()); err != nil {
		t.Fatal(err)
	}
	l.Error("two")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{path + ".1": "msg=one\n", path: "msg=two\n"} {
		if text, err := os.ReadFile(file); err != nil || !strings.HasSuffix(string(text), want) || strings.Count(string(text), "\n") != 1 {
			t.Errorf("%s has %q, %v", file, text, err)
		}
	}
}
