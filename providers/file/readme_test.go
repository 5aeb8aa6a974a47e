package file

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pergola-mesh/pergola/config/static"
)

// TestReadme runs the examples of README.md.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	block := func(language string) string {
		_, after, ok := strings.Cut(string(readme), "```"+language+"\n")
		text, _, closed := strings.Cut(after, "```")
		if !ok || !closed {
			t.Fatalf("README.md has no %s example", language)
		}
		return text
	}

	dir := t.TempDir()
	settings := filepath.Join(dir, "pergola.toml")
	write(t, settings, block("toml"))
	l := static.Load([]string{"--configFile=" + settings}, nil)
	if len(l.Problems) > 0 || l.Config.Providers.File.Directory != "/etc/pergola/dynamic" || !l.Config.Providers.File.Watch {
		t.Errorf("the settings: %v %+v", l.Problems, l.Config.Providers.File)
	}

	routes := filepath.Join(dir, "dynamic", "shop.yaml")
	write(t, routes, block("yaml"))
	u := Read(static.File{Directory: filepath.Dir(routes)}, silent())
	if len(u.Problems) > 0 {
		t.Fatal(u.Problems)
	}
	servers := u.Config.HTTP.Services["shop"].LoadBalancer.Servers
	if len(servers) != 3 || servers[2].URL != "http://10.0.0.3:8080" || u.Config.HTTP.Routers["shop"].Rule != "Host(`shop.example`)" {
		t.Errorf("got %+v %v", servers, rules(u))
	}
}
