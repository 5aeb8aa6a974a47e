package file

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/config/load"
	"github.com/pergola-mesh/pergola/config/static"
	"github.com/pergola-mesh/pergola/internal/files"
)

// file is one file: its last good version, and what is wrong with its present one.
type file struct {
	path    string
	sum     [sha256.Size]byte // of the text last decoded
	objects load.Objects
	good    load.Decoded
	fault   *dynamic.Problem
}

// read brings the file up to date. It reports whether the file is not there.
func (f *file) read(s *source) (gone bool) {
	content, err := files.Read(f.path)
	if err != nil {
		f.fail(0, fmt.Sprintf("cannot be read%s: %v", f.stays(), err))
		_, err := os.Lstat(f.path) // a symbolic link that leads nowhere is there
		return errors.Is(err, fs.ErrNotExist)
	}
	text, rendered, err := render(content)
	if err != nil {
		var te *templateError
		if errors.As(err, &te) {
			f.fail(te.line, "template"+f.stays()+": "+te.message)
		} else {
			f.fail(0, "template"+f.stays()+": "+err.Error())
		}
		return false
	}
	name := f.path
	if rendered {
		name += " (rendered)" // lines count in what the template made
		if s.config.DebugLogGeneratedTemplate {
			s.log.Debug("Template rendered", "file", f.path, "content", string(text))
		}
	}
	f.decode(s, name, text)
	return false
}

func (f *file) decode(s *source, name string, text []byte) {
	sum := sha256.Sum256(text)
	if sum == f.sum && f.good.Config != nil && f.fault == nil {
		return
	}
	format, ok := load.FormatOf(f.path)
	if !ok || format == load.JSON {
		f.fail(0, "must end in .toml, .yaml or .yml")
		return
	}
	f.objects.Beside = nil
	if s.config.IsStatic(f.path) {
		f.objects.Beside = static.Sections()
	}
	decoded := f.objects.Decode(name, text, format)
	if decoded.Config == nil {
		p := decoded.Problems[0]
		p.Message += f.stays()
		f.fault = &p
		return
	}
	f.sum, f.good, f.fault = sum, decoded, nil
}

func (f *file) fail(line int, message string) {
	f.fault = &dynamic.Problem{Source: f.path, Line: line, Message: message}
}

// stays says what becomes of the version before, if there was one.
func (f *file) stays() string {
	if f.good.Config == nil {
		return ""
	}
	return " (the version before stays)"
}
