package file

import (
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pergola-mesh/pergola/config/static"
	"github.com/pergola-mesh/pergola/providers"
	"github.com/pergola-mesh/pergola/providers/providertest"
)

func silent() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// routersFile is one file, written anew for every change as an editor would: beside and renamed over.
type routersFile struct {
	t      *testing.T
	path   string
	config static.File
}

func (f *routersFile) Provider() providers.Provider { return New(f.config, silent()) }

func (f *routersFile) Set(routers map[string]string) {
	var b strings.Builder
	b.WriteString("http:\n  routers:\n")
	for _, name := range slices.Sorted(maps.Keys(routers)) {
		rule := routers[name]
		if rule == providertest.Bad {
			fmt.Fprintf(&b, "    %s: {rool: x}\n", name)
			continue
		}
		fmt.Fprintf(&b, "    %s: {rule: %q, service: s}\n", name, rule)
	}
	replace(f.t, f.path, b.String())
}

func (f *routersFile) Break() { replace(f.t, f.path, "http: [") }

// replace renames a new file over path.
func replace(t testing.TB, path, content string) {
	t.Helper()
	beside := filepath.Join(filepath.Dir(path), ".new")
	write(t, beside, content)
	if err := os.Rename(beside, path); err != nil {
		t.Fatal(err)
	}
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestConformance(t *testing.T) {
	t.Run("filename", func(t *testing.T) {
		providertest.Run(t, func(t *testing.T) providertest.Source {
			path := filepath.Join(t.TempDir(), "routes.yaml")
			return &routersFile{t: t, path: path, config: static.File{Filename: path, Watch: true}}
		})
	})
	t.Run("directory", func(t *testing.T) {
		providertest.Run(t, func(t *testing.T) providertest.Source {
			dir := t.TempDir()
			return &routersFile{t: t, path: filepath.Join(dir, "below", "routes.yaml"), config: static.File{Directory: dir, Watch: true}}
		})
	})
}
