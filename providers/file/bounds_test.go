package file

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/config/static"
)

// What a template would make is found out before it is made.
func TestBounds(t *testing.T) {
	for in, want := range map[string]string{
		`{{ $x := until 1048576 }}ok`:                                         "",
		`{{ range until 100000000 }}x{{ end }}`:                               errMany.text,
		`{{ range untilStep 0 -9000000000000000000 -1 }}x{{ end }}`:           errMany.text,
		`{{ range untilStep 0 9000000000000000000 0 }}x{{ end }}`:             "",
		`{{ seq 1000000000 }}`:                                                errMany.text,
		`{{ seq 0 -1000000000 }}`:                                             errMany.text,
		`{{ seq 0 2 1000000000 }}`:                                            errMany.text,
		`{{ seq 0 -2 1000000000 }}{{ seq 3 }}{{ seq }}`:                       "",
		`{{ repeat 9000000000000000000 "x" }}`:                                errLong.text,
		`{{ "x" | repeat 60000000 | indent 9000000 }}`:                        errLong.text,
		`{{ "\n\n" | nindent 60000000 }}`:                                     errLong.text,
		`{{ $x := repeat 100000 "x" }}{{ replace "x" $x $x }}`:                errLong.text,
		`{{ $x := repeat 100000 "x" }}{{ join $x (until 1000) }}`:             errLong.text,
		`{{ $x := repeat 60000000 "x" }}{{ join "" (list $x $x) }}`:           errLong.text,
		`{{ randAlphaNum 1000000000 }}`:                                       errLong.text,
		`{{ randBytes 1000000000 }}`:                                          errLong.text,
		`{{ $x := repeat 40000000 "x" }}{{ printf "%s%s" $x $x }}`:            errLong.text,
		`{{ $x := until 1000000 }}{{ concat $x $x }}`:                         errMany.text,
		`{{ $x := "xx" }}{{ range until 60 }}{{ $x = print $x $x }}{{ end }}`: errLong.text,
		`{{ range until 3 }}{{ repeat 30000000 "x" }}{{ end }}`:               errLong.text, // and no line
	} {
		_, _, err := renderWithin(time.Minute, []byte("\n"+in))
		e := (*templateError)(nil)
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", in, err)
		case want != "" && (!errors.As(err, &e) || e.message != want || e.line != 2 && e.line != 0):
			t.Errorf("%s: %v, want line 2: %s", in, err, want)
		}
	}
}

// A template that would never end is ended, whatever it loops by.
func TestEndless(t *testing.T) {
	for in, line := range map[string]int{
		"{{ range 1000000000 }}\n{{ range 1000000000 }}{{ end }}{{ end }}":                                                                                    1,
		"\n{{ if true }}{{ with 1 }}{{ range $i, $e := until 1000000 }}{{ range until 1000000 }}{{ continue }}{{ end }}{{ else }}{{ end }}{{ end }}{{ end }}": 2,
		`{{ define "a" }}{{ if lt . 60 }}{{ template "a" add . 1 }}{{ template "a" add . 1 }}{{ end }}{{ end }}{{ template "a" 0 }}`:                          1,
	} {
		_, _, err := renderWithin(time.Millisecond, []byte(in))
		e := (*templateError)(nil)
		if !errors.As(err, &e) || e.message != errSlow.text || e.line < line {
			t.Errorf("%s: %v, want from line %d: %s", in, err, line, errSlow.text)
		}
	}
}

// The file's last good version stays, and the problem names file and line.
func TestBoundsKeepTheVersionBefore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "routes.yaml")
	s := &source{config: static.File{Filename: path}, log: silent(), files: map[string]*file{}}
	write(t, path, "http: {routers: {a: {rule: Path(`/`), service: s}}}")
	if u := s.read(unwatched{}); len(u.Problems) > 0 {
		t.Fatal(u.Problems)
	}
	write(t, path, "http:\n  routers:\n{{ range until 100000000 }}\n    a{{ . }}: {}\n{{ end }}")
	u := s.read(unwatched{})
	if len(u.Problems) != 1 || u.Problems[0].Source != path || u.Problems[0].Line != 3 || !strings.Contains(u.Problems[0].Message, "the version before stays") {
		t.Errorf("problems are %+v", u.Problems)
	}
	if u.Config.HTTP == nil || u.Config.HTTP.Routers["a"] == nil {
		t.Errorf("router a is gone: %+v", u.Config.HTTP)
	}
}
