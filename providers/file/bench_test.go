package file

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pergola-mesh/pergola/config/static"
)

// BenchmarkOneRouterOfTenThousand is a change of one router, from the file to the update.
func BenchmarkOneRouterOfTenThousand(b *testing.B) {
	for _, files := range []int{1, 10} {
		b.Run(fmt.Sprintf("files=%d", files), func(b *testing.B) {
			dir := b.TempDir()
			text := make([]string, files)
			for f := range files {
				var w strings.Builder
				w.WriteString("http:\n  routers:\n")
				for i := range 10_000 / files {
					fmt.Fprintf(&w, "    r%d-%d:\n      rule: Host(`h%d.example`) && PathPrefix(`/api`)\n      service: s\n", f, i, i)
				}
				text[f] = w.String()
				write(b, filepath.Join(dir, fmt.Sprint(f, ".yaml")), text[f])
			}
			p := New(static.File{Directory: dir}, silent())
			last := p.source.read(unwatched{})
			service := "service: t"
			for b.Loop() {
				write(b, filepath.Join(dir, "0.yaml"), strings.Replace(text[0], "service: s", service, 1))
				next := p.source.read(unwatched{})
				if same(last, next) {
					b.Fatal("no change was seen")
				}
				last = next
				service = map[string]string{"service: t": "service: s", "service: s": "service: t"}[service]
			}
		})
	}
}
