package static

import (
	"os"
	"path/filepath"
	"strings"
)

// SearchPath lists the configuration files that are looked for when none is named, first first.
func SearchPath(environ []string) []string {
	home, xdg := lookup(environ, "HOME"), lookup(environ, "XDG_CONFIG_HOME")
	if xdg == "" && home != "" {
		xdg = filepath.Join(home, ".config")
	}
	bases := []string{"/etc/pergola/pergola"}
	if xdg != "" {
		bases = append(bases, filepath.Join(xdg, "pergola", "pergola"), filepath.Join(xdg, "pergola"))
	}
	bases = append(bases, "pergola", "traefik")
	var names []string
	for _, base := range bases {
		for _, ext := range []string{".toml", ".yaml", ".yml"} {
			names = append(names, base+ext)
		}
	}
	return names
}

func firstExisting(names []string) string {
	for _, name := range names {
		if info, err := os.Stat(name); err == nil && !info.IsDir() {
			return name
		}
	}
	return ""
}

func lookup(environ []string, name string) string {
	for _, e := range environ {
		if k, v, _ := strings.Cut(e, "="); k == name {
			return v
		}
	}
	return ""
}
