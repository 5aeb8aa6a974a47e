package listen

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "rewrite the transcripts in testdata")

const proxyTranscripts = "testdata/proxyproto.txtar"

// proxyInputs returns the file's archive and the bytes that each entry of it stands for: quoted Go
// strings, one a line, joined.
func proxyInputs(tb testing.TB) (*txtar.Archive, [][]byte) {
	archive, err := txtar.ParseFile(proxyTranscripts)
	if err != nil {
		tb.Fatal(err)
	}
	var inputs [][]byte
	for _, f := range archive.Files {
		var in []byte
		for line := range strings.Lines(string(f.Data)) {
			if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "=") {
				continue
			}
			s, err := strconv.Unquote(line)
			if err != nil {
				tb.Fatalf("%s: %q: %v", f.Name, line, err)
			}
			in = append(in, s...)
		}
		inputs = append(inputs, in)
	}
	return archive, inputs
}

func proxyVerdict(in []byte) string {
	h, size, err := ParseProxy(in)
	switch {
	case err != nil:
		return "refused: " + err.Error()
	case size == 0:
		return "incomplete"
	case h.Local:
		return fmt.Sprintf("local, rest %q", in[size:])
	case !h.Source.IsValid():
		return fmt.Sprintf("unknown, rest %q", in[size:])
	}
	return fmt.Sprintf("%v to %v, rest %q", h.Source, h.Destination, in[size:])
}

// TestProxyTranscripts parses every entry of the transcript file, whole, and compares with its "= " line.
func TestProxyTranscripts(t *testing.T) {
	archive, inputs := proxyInputs(t)
	for i := range archive.Files {
		f := &archive.Files[i]
		text, want, _ := strings.Cut(string(f.Data), "= ")
		got := proxyVerdict(inputs[i])
		if got != strings.TrimSpace(want) {
			t.Errorf("%s: got %s, want %s", f.Name, got, want)
		}
		f.Data = []byte(text + "= " + got + "\n")
	}
	if *update {
		if err := os.WriteFile(proxyTranscripts, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// However the bytes arrive, the header is the same and what follows is not lost.
func TestReadProxyByPieces(t *testing.T) {
	_, inputs := proxyInputs(t)
	for _, in := range inputs {
		want, size, wantErr := ParseProxy(in)
		for _, r := range []io.Reader{bytes.NewReader(in), iotest.OneByteReader(bytes.NewReader(in)), iotest.DataErrReader(bytes.NewReader(in))} {
			h, rest, err := ReadProxy(r)
			if (err == nil) != (wantErr == nil && size > 0) || h != want {
				t.Errorf("%q: %+v %v, want %+v %v", in, h, err, want, wantErr)
			}
			if err == nil {
				left, _ := io.ReadAll(r)
				if all := append(rest, left...); !bytes.Equal(all, in[size:]) {
					t.Errorf("%q: the rest is %q", in, all)
				}
			}
			if wantErr == nil && size == 0 && err != io.ErrUnexpectedEOF {
				t.Errorf("%q: a cut header is %v", in, err)
			}
		}
	}
}

func TestReadProxyPassesErrorsOn(t *testing.T) {
	broken := errors.New("broken")
	r := io.MultiReader(strings.NewReader("PROXY TCP4 "), iotest.ErrReader(broken))
	if _, _, err := ReadProxy(r); err != broken {
		t.Error(err)
	}
}

// A refusal may come early, but more bytes never turn one verdict into another.
func FuzzProxy(f *testing.F) {
	_, inputs := proxyInputs(f)
	for _, in := range inputs {
		f.Add(in)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		h, size, err := ParseProxy(in)
		if size < 0 || size > maxProxyV2 || size > len(in) || err != nil && size != 0 {
			t.Fatalf("size %d of %d, %v", size, len(in), err)
		}
		if size == 0 && err == nil && len(in) >= maxProxyV2 {
			t.Fatal("it waits for more than any header has")
		}
		if h.Source.IsValid() != h.Destination.IsValid() || h.Source.Addr().Is4In6() {
			t.Fatalf("%+v", h)
		}
		for i := range in[:min(len(in), 2*maxProxyV2)] {
			g, n, early := ParseProxy(in[:i])
			switch {
			case early != nil && err == nil && (size == 0 || i < size):
				t.Fatalf("refused %q: %v, but accepts more", in[:i], early)
			case n > 0 && (n != size || g != h):
				t.Fatalf("%q is %+v, %q is %+v", in[:i], g, in, h)
			case n == 0 && early == nil && size > 0 && i >= size:
				t.Fatalf("%q is incomplete, but only %d bytes are needed", in[:i], size)
			}
		}
	})
}
