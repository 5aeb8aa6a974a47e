//go:build linux

package main

import (
	"bytes"
	"embed"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

//go:embed configs
var configs embed.FS

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
	HTTP2       bool  // HTTP/2 too
	HTTP2Port   int   // where, unless on Port
	GRPC        bool  // the backend speaks HTTP/2, and gRPC over it
	WebSocket   bool  // requests may change the protocol to WebSocket
	HTTP3       bool  // HTTP/3 too, on the UDP port of the same number
	TLS         bool  // Port speaks TLS; chain.pem, key.pem and both.pem are in Dir
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
