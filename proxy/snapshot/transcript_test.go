package snapshot

import (
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pergola-mesh/pergola/config/static"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "write what is into testdata as what is wanted")

// A transcript is a txtar archive. Its files are taken in order:
//
//	entrypoints    one a line: a name, then asDefault, udp, tls, tls=OPTIONS, or middlewares
//	precedence     providers, in order
//	resolvers      names of certificate resolvers
//	P.yaml P.toml  an update of the provider P, all that it says
//	files/NAME     a file that configurations can name as NAME; it is noticed
//	view           what the View must then be, with what was built
//	ask            requests "entrypoint METHOD URL", each with what must become of it. Those of https are
//	               made after a handshake, for the name behind "entrypoint/", else the host of the URL
func TestTranscripts(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			play(t, archive)
			if *update {
				if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// play goes through a transcript, and writes what is into it when asked to.
func play(t *testing.T, archive *txtar.Archive) {
	var f *fixture
	var changes []func(*Options)
	files := map[string]string{}
	running := func() *fixture {
		if f == nil {
			f = newFixture(t, changes...)
			f.files = files
		}
		return f
	}
	for i := range archive.Files {
		file := &archive.Files[i]
		text := string(file.Data)
		provider := strings.TrimSuffix(file.Name, filepath.Ext(file.Name))
		var got string
		switch {
		case file.Name == "entrypoints":
			changes = append(changes, func(o *Options) { o.EntryPoints = parseEntryPoints(text) })
			continue
		case file.Name == "precedence":
			changes = append(changes, func(o *Options) { o.Precedence = strings.Fields(text) })
			continue
		case file.Name == "resolvers":
			changes = append(changes, func(o *Options) { o.Resolvers = strings.Fields(text) })
			continue
		case file.Name == "wildcards":
			changes = append(changes, func(o *Options) { o.Wildcards = strings.Fields(text) })
			continue
		case strings.HasPrefix(file.Name, "files/"):
			files[strings.TrimPrefix(file.Name, "files/")] = text
			if f != nil {
				f.refresh()
			}
			continue
		case file.Name == "view":
			got = fmt.Sprintf("built %+v\n", running().report.Built) + dump(f.builder.Snapshot().View())
		case file.Name == "ask":
			got = running().askAll(t, text)
		default:
			running().apply(decodeUpdate(t, provider, file.Name, text))
			continue
		}
		if got == text {
			continue
		}
		if *update {
			file.Data = []byte(got)
			continue
		}
		t.Errorf("file %d, %s:\n%s\nwant\n%s", i+1, file.Name, got, text)
	}
}

func (f *fixture) askAll(t *testing.T, text string) string {
	t.Helper()
	var out strings.Builder
	for line := range strings.Lines(text) {
		request, _, _ := strings.Cut(strings.TrimSpace(line), " => ")
		words := strings.Fields(request)
		if len(words) != 3 {
			t.Fatalf("%q is not an entry point, a method and a URL", request)
		}
		point, name, named := strings.Cut(words[0], "/")
		h := f.live.Handler(point)
		if h == nil {
			t.Fatalf("no entry point %s", point)
		}
		x := exchangetest.Request(words[1], words[2])
		if x.Conn.TLS != nil {
			if !named {
				name = x.Conn.TLS.ServerName
			}
			c := f.connect(t, point, &tls.Config{ServerName: name, InsecureSkipVerify: true})
			if c.serverErr != nil {
				fmt.Fprintf(&out, "%s => refused: %v\n", request, errors.Join(c.session.Err()))
				continue
			}
			x.Conn.TLS, x.Conn.Session = &c.server, c.session
		}
		fmt.Fprintf(&out, "%s => %s\n", request, tell(h, x))
	}
	return out.String()
}

func parseEntryPoints(text string) map[string]*static.EntryPoint {
	all := map[string]*static.EntryPoint{}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		e := entryPoint()
		all[words[0]] = e
		for _, word := range words[1:] {
			switch word {
			case "asDefault":
				e.AsDefault = true
			case "tls":
				e.HTTP.TLS = &static.TLS{}
			case "mysql":
				e.StartTLS = &static.StartTLS{Protocol: "mysql"}
			case "udp":
				e.Address = ":80/udp"
			default:
				if options, ok := strings.CutPrefix(word, "tls="); ok {
					e.HTTP.TLS = &static.TLS{Options: options}
					continue
				}
				e.HTTP.Middlewares = append(e.HTTP.Middlewares, word)
			}
		}
	}
	return all
}
