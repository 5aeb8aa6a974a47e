package urlpath_test

import (
	"bytes"
	"errors"
	"net/url"
	"os"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/pergola-mesh/pergola/internal/urlpath"
)

// TestTranscripts runs testdata/*.txtar. Every line of a section is a path, an arrow and what becomes
// of it; the section's name is the function.
func TestTranscripts(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/paths.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range archive.Files {
		for line := range strings.Lines(string(file.Data)) {
			line = strings.TrimSuffix(line, "\n")
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			in, want, ok := strings.Cut(line, " -> ")
			if !ok {
				t.Fatalf("%s: %q has no arrow", file.Name, line)
			}
			in = strings.NewReplacer(`\0`, "\x00", `\r`, "\r", `\t`, "\t", `\x80`, "\x80", `\s`, " ", `\x7f`, "\x7f").Replace(in)
			if got := run(t, file.Name, in); got != want {
				t.Errorf("%s: %q -> %s, want %s", file.Name, in, got, want)
			}
		}
	}
	if len(archive.Files) != 6 {
		t.Errorf("%d sections", len(archive.Files))
	}
}

func run(t *testing.T, function, in string) string {
	t.Helper()
	var out []byte
	var err error
	switch function {
	case "normalize":
		out, err = urlpath.Normalize(nil, []byte(in), urlpath.Sanitize)
	case "normalize keeping segments":
		out, err = urlpath.Normalize(nil, []byte(in), urlpath.KeepSegments)
	case "literal":
		out = urlpath.Literal(in)
	case "rewrite": // pieces are divided by a space
		var pieces [][]byte
		for piece := range strings.SplitSeq(in, "  ") {
			pieces = append(pieces, []byte(piece))
		}
		out = urlpath.Rewrite([]byte("kept"), urlpath.Sanitize, pieces...)
	case "encoded, none allowed":
		out, err = urlpath.Normalize(nil, []byte(in), urlpath.Sanitize)
		if err == nil {
			err = urlpath.Encoded{}.Check(out)
		}
	case "encoded, all allowed":
		out, err = urlpath.Normalize(nil, []byte(in), urlpath.Sanitize)
		if err == nil {
			err = urlpath.Encoded{true, true, true, true, true, true, true}.Check(out)
		}
	default:
		t.Fatalf("no function %q", function)
	}
	var refused *urlpath.Error
	if errors.As(err, &refused) {
		return refused.Rule
	}
	return string(out)
}

func TestNormalPathIsReturnedAsIs(t *testing.T) {
	for _, path := range []string{"/", "/a/b.c/", "/.well-known/x", "/a%2Fb/%E4/%00", "*", "/...", "/a[1]/@x:1;v=2,3"} {
		raw := []byte(path)
		got, err := urlpath.Normalize(nil, raw, urlpath.Sanitize)
		if err != nil || &got[0] != &raw[0] || len(got) != len(raw) {
			t.Errorf("%s became %s, %v", path, got, err)
		}
	}
}

func TestNormalizeAppends(t *testing.T) {
	dst := append(make([]byte, 0, 64), "kept"...)
	got, err := urlpath.Normalize(dst, []byte("/a/../%61"), urlpath.Sanitize)
	if string(got) != "/a" || err != nil || string(dst[:6]) != "kept/a" {
		t.Errorf("%q, %v in %q", got, err, dst[:6])
	}
}

func TestNothingIsAllocated(t *testing.T) {
	clean, dirty := []byte("/api/v1/users/4711.json"), []byte("/api//v1/%7e/../ü")
	allow := urlpath.Encoded{}
	var buf [128]byte
	if n := testing.AllocsPerRun(100, func() {
		p, _ := urlpath.Normalize(buf[:0], dirty, urlpath.Sanitize)
		allow.Check(p)
		p, _ = urlpath.Normalize(buf[:0], clean, urlpath.Sanitize)
		urlpath.Rewrite(buf[:0], urlpath.Sanitize, clean[:3], p[4:])
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// reference is the sanitation of Traefik v3: what url.JoinPath makes of the path.
func reference(path []byte) string {
	u := &url.URL{Path: string(path)}
	return u.JoinPath().Path
}

func FuzzNormalize(f *testing.F) {
	archive, err := os.ReadFile("testdata/paths.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.Lines(string(archive)) {
		in, _, _ := strings.Cut(line, " -> ")
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		before := bytes.Clone(raw)
		kept, err := urlpath.Normalize(nil, raw, urlpath.KeepSegments)
		path, err2 := urlpath.Normalize(nil, raw, urlpath.Sanitize)
		if (err == nil) != (err2 == nil) || !bytes.Equal(raw, before) {
			t.Fatalf("%q: %v, %v", raw, err, err2)
		}
		if err != nil {
			return
		}
		checkNormal(t, kept, urlpath.KeepSegments)
		checkNormal(t, path, urlpath.Sanitize)
		if string(path) != "*" {
			// JoinPath works on the unescaped path, in which "%2F" and "." are what ours are escaped.
			if want := reference(kept); string(path) != want {
				t.Errorf("%q sanitized is %q, reference %q", kept, path, want)
			}
		}
		if len(raw) > 0 {
			sameText(t, raw, kept)
		}
		if got := urlpath.Literal(string(kept)); !bytes.Equal(got, kept) {
			t.Errorf("literal of %q is %q", kept, got)
		}
		if got := urlpath.Rewrite(nil, urlpath.Sanitize, path[:len(path)/2], path[len(path)/2:]); string(path) != "*" && !bytes.Equal(got, path) {
			t.Errorf("rewrite of %q is %q", path, got)
		}
		// Whatever is cut and put together, the result is normal.
		checkNormal(t, urlpath.Rewrite(nil, urlpath.Sanitize, path[len(path)/2:], raw, path[:len(path)/3]), urlpath.Sanitize)
	})
}

// checkNormal reports whether path is in the normal form: normalizing changes nothing and it is pure
// RFC 3986 text.
func checkNormal(t *testing.T, path []byte, mode urlpath.Mode) {
	t.Helper()
	again, err := urlpath.Normalize(nil, path, mode)
	if err != nil || !bytes.Equal(again, path) {
		t.Errorf("%q normalized again is %q, %v", path, again, err)
	}
	for _, c := range path {
		if c <= ' ' || c >= 0x7f || strings.IndexByte("#?\"<>\\^`{|}", c) >= 0 {
			t.Errorf("%q holds %q", path, c)
		}
	}
}

// sameText checks that a and b mean the same bytes and the same delimiters: a decoded once is b
// decoded once.
func sameText(t *testing.T, a, b []byte) {
	t.Helper()
	da, err1 := url.PathUnescape(string(a))
	db, err2 := url.PathUnescape(string(b))
	if err1 != nil || err2 != nil || da != db {
		t.Errorf("%q means %q (%v), %q means %q (%v)", a, da, err1, b, db, err2)
	}
	for _, delimiter := range "/!$&'()*+,;=:@[]" {
		if bytes.Count(a, []byte(string(delimiter))) != bytes.Count(b, []byte(string(delimiter))) {
			t.Errorf("%q and %q differ in %q", a, b, delimiter)
		}
	}
}

func BenchmarkNormalize(b *testing.B) {
	for _, path := range []string{"/", "/api/v1/users/4711", "/static/js/app.5f3c9a1e.min.js", "/a%2fb/../%7e//ü"} {
		b.Run(strings.ReplaceAll(path, "/", "_"), func(b *testing.B) {
			raw, buf := []byte(path), make([]byte, 0, 128)
			b.ReportAllocs()
			for b.Loop() {
				urlpath.Normalize(buf, raw, urlpath.Sanitize)
			}
		})
	}
}
