package file

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"text/template"
	"time"
	"unicode"

	"github.com/Masterminds/sprig/v3"

	"github.com/pergola-mesh/pergola/internal/files"
)

// functions are sprig's, and the two that Traefik has beside or instead, within bounds.
var functions = sync.OnceValue(func() template.FuncMap {
	f := sprig.TxtFuncMap()
	f["split"] = strings.Split
	f["normalize"] = func(s string) string { // letters and digits, joined by dashes
		return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) }), "-")
	}
	maps.Copy(f, builtins)
	return bounded(f)
})

// templateError is a template that does not parse or run.
type templateError struct {
	line    int
	message string
}

func (e *templateError) Error() string { return fmt.Sprintf("line %d: %s", e.line, e.message) }

var templatePlace = regexp.MustCompile(`^template: file:(\d+)(?::\d+)?: `)

// render runs content as a template. Text without {{ is returned as it is.
func render(content []byte) (text []byte, rendered bool, err error) {
	return renderWithin(patience, content)
}

func renderWithin(patience time.Duration, content []byte) (text []byte, rendered bool, err error) {
	if !bytes.Contains(content, []byte("{{")) {
		return content, false, nil
	}
	t, err := template.New("file").Funcs(functions()).Funcs(template.FuncMap{tick: ticker(time.Now().Add(patience))}).Parse(string(content))
	var out limitedBuffer
	if err == nil {
		ticking(t)
		err = t.Execute(&out, nil)
	}
	if err != nil {
		e := &templateError{message: err.Error()}
		if m := templatePlace.FindStringSubmatch(e.message); m != nil {
			e.line, _ = strconv.Atoi(m[1])
			e.message = strings.TrimPrefix(e.message, m[0])
		}
		if much := (tooMuch{}); errors.As(err, &much) {
			e.message = much.text // not where in the machinery
		}
		return nil, false, e
	}
	return out.Bytes(), true, nil
}

// maxSize is the longest text a template may make, in bytes.
const maxSize = files.MaxSize

// limitedBuffer refuses to grow beyond maxSize.
type limitedBuffer struct{ bytes.Buffer }

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxSize {
		return 0, errLong
	}
	return b.Buffer.Write(p)
}
