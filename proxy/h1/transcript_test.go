package h1

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/pergola-mesh/pergola/internal/waittest"
)

var update = flag.Bool("update", false, "rewrite the transcripts in testdata")

// A transcript is a file of exchanges: what a client sends, perhaps what the server answers, and then
// what the server got, what the client got, and the rules that refused anything. A line of text stands
// for itself and CRLF; \n, \r, \t, \0 and \xNN are bytes, a backslash at its end leaves the CRLF out, and
// {a*1000} is a run. Every exchange runs twice: sent whole, and byte by byte.
type transcript struct {
	name                     string
	client, server           string
	upstream, answer, refuse *txtar.File
}

func readTranscripts(tb testing.TB, path string) (*txtar.Archive, []transcript) {
	archive, err := txtar.ParseFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	var all []transcript
	var files []txtar.File
	for _, f := range archive.Files { // give every exchange its files for the results
		if strings.HasPrefix(f.Name, "client") || f.Name == "server" {
			files = append(files, f)
		}
	}
	var full []txtar.File
	for i, f := range files {
		full = append(full, f)
		if i+1 == len(files) || strings.HasPrefix(files[i+1].Name, "client") {
			full = append(full, txtar.File{Name: "upstream"}, txtar.File{Name: "answer"}, txtar.File{Name: "refused"})
		}
	}
	want := archive.Files
	archive.Files = full
	for i := range full {
		f := &full[i]
		if i < len(want) && want[i].Name == f.Name && len(f.Data) == 0 {
			f.Data = want[i].Data
		}
		switch {
		case strings.HasPrefix(f.Name, "client"):
			all = append(all, transcript{name: strings.TrimPrefix(f.Name, "client "), client: decodeText(tb, f.Data), server: ok})
		case f.Name == "server":
			all[len(all)-1].server = decodeText(tb, f.Data)
		case f.Name == "upstream":
			all[len(all)-1].upstream = f
		case f.Name == "answer":
			all[len(all)-1].answer = f
		case f.Name == "refused":
			all[len(all)-1].refuse = f
		}
	}
	return archive, all
}

var run = regexp.MustCompile(`\{(.)\*(\d+)\}`)

func decodeText(tb testing.TB, text []byte) string {
	var b strings.Builder
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		line, open := strings.CutSuffix(line, `\`)
		line = run.ReplaceAllStringFunc(line, func(s string) string {
			m := run.FindStringSubmatch(s)
			n, _ := strconv.Atoi(m[2])
			return strings.Repeat(m[1], n)
		})
		s, err := strconv.Unquote(`"` + strings.ReplaceAll(strings.ReplaceAll(line, `"`, `\"`), `\0`, `\x00`) + `"`)
		if err != nil {
			tb.Fatalf("%q: %v", line, err)
		}
		b.WriteString(s)
		if !open {
			b.WriteString("\r\n")
		}
	}
	return b.String()
}

var dates = regexp.MustCompile(`Date: [A-Z][^\r]*GMT\r\n`)

func encodeText(s string) []byte {
	var b bytes.Buffer
	s = dates.ReplaceAllString(s, "")
	for len(s) > 0 {
		line, rest, whole := strings.Cut(s, "\r\n")
		q := strconv.Quote(line)
		q = strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
		for i := 0; i < len(q); {
			n := 1
			for i+n < len(q) && q[i+n] == q[i] {
				n++
			}
			if n > 60 {
				fmt.Fprintf(&b, "{%c*%d}", q[i], n)
			} else {
				b.WriteString(q[i : i+n])
			}
			i += n
		}
		if !whole {
			b.WriteByte('\\')
		}
		b.WriteByte('\n')
		s = rest
	}
	return b.Bytes()
}

// play sends in to a new proxy, in one write or one a byte, and returns what both sides got. The scripted
// server answers every request that it reads whole with script, after which it closes if that ends in
// "<close>".
func play(t *testing.T, in, script string, bytewise bool) (upstream, answer, refused string) {
	var mu sync.Mutex
	var got bytes.Buffer
	script, closes := strings.CutSuffix(script, "<close>\r\n")
	r := newRig(t, nil, func(c net.Conn) {
		var raw bytes.Buffer
		defer func() {
			mu.Lock()
			got.Write(raw.Bytes())
			mu.Unlock()
		}()
		br := bufio.NewReader(io.TeeReader(c, &raw))
		for {
			q, err := http.ReadRequest(br)
			if err != nil {
				return
			}
			if q.Header.Get("Expect") == "" {
				if _, err := io.Copy(io.Discard, q.Body); err != nil {
					return
				}
			}
			io.WriteString(c, script)
			if closes {
				return
			}
		}
	})
	c := r.dial()
	in, half := strings.CutSuffix(in, "<EOF>\r\n")
	go func() {
		if bytewise {
			c.SetNoDelay(true)
			for i := range len(in) {
				if _, err := io.WriteString(c, in[i:i+1]); err != nil {
					return
				}
			}
		} else {
			io.WriteString(c, in)
		}
		if half {
			c.CloseWrite()
		}
	}()
	out, err := io.ReadAll(c)
	if err != nil {
		out = append(out, "<reset>"...)
	}
	c.Close() // nobody has to linger
	waittest.Until(t, "the connection ends", func() bool { return r.server.Active() == 0 })
	waittest.Until(t, "the server has accepted all connections", func() bool { return int64(r.connections()) == r.dialled.Load() })
	r.pool.Close()
	r.servers.Wait()
	return got.String(), string(out), strings.Join(r.rules(), "\n")
}

func TestTranscripts(t *testing.T) {
	names, _ := filepath.Glob("testdata/*.txtar")
	if len(names) == 0 {
		t.Fatal("no transcripts")
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, all := readTranscripts(t, name)
			for _, tr := range all {
				for _, bytewise := range []bool{false, true} {
					if bytewise && len(tr.client) > 2000 {
						continue
					}
					up, answer, refused := play(t, tr.client, tr.server, bytewise)
					sent := up
					if bytewise && strings.Contains(up, "chunked") {
						up = decodeText(t, tr.upstream.Data) // as many chunks as reads: the answer tells the rest
					}
					refused += "\n"
					if *update && !bytewise {
						tr.upstream.Data, tr.answer.Data, tr.refuse.Data = encodeText(up), encodeText(answer), []byte(refused)
					}
					for _, f := range []struct {
						file *txtar.File
						got  string
					}{{tr.upstream, string(encodeText(up))}, {tr.answer, string(encodeText(answer))}, {tr.refuse, refused}} {
						if strings.TrimSuffix(string(f.file.Data), "\n") != strings.TrimSuffix(f.got, "\n") {
							t.Errorf("%s, byte by byte %v: %s: got\n%s\nwant\n%s", tr.name, bytewise, f.file.Name, f.got, f.file.Data)
						}
					}
					if strings.Contains(sent, "/smuggled") {
						t.Errorf("%s: smuggled: %q", tr.name, sent)
					}
					if strings.Contains(answer, "HTTP/1.1 400") && !strings.Contains(answer[strings.Index(answer, "HTTP/1.1 400"):], "Connection: close\r\n") {
						t.Errorf("%s: a 400 that does not close", tr.name)
					}
				}
			}
			if *update {
				if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
