//go:build linux

package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// grpcLoads are unary calls, HTTP/2 on both sides of the proxy: a message there and the same back.
var grpcLoads = []load{
	{Name: "gRPC unary, 128 B, c=8, 10 streams each", Connections: 8, Streams: 10, GRPC: true, Path: sayPath, Size: int64(len(grpcMessage))},
	{Name: "gRPC unary, 128 B, c=8, 1 stream each", Connections: 8, Streams: 1, GRPC: true, Path: sayPath, Size: int64(len(grpcMessage))},
}

// The methods of the backend's service: one sends its message back, one the forwarding fields as text.
const (
	sayPath       = "/api.Echo/Say"
	forwardedPath = "/api.Echo/Forwarded"
)

// grpcMessage is the one message of a call, with its length before it.
var grpcMessage = frameMessage([]byte(smallBody))

// frameMessage puts before a message what gRPC does: that it is not compressed, and its length.
func frameMessage(message []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
}

// measureGRPC compares gRPC in plaintext.
func (b *bench) measureGRPC() error {
	return b.withEcho(func(echo int) error {
		return b.compare("bare", grpcLoads, b.rounds, func(s *settings) {
			s.GRPC = true
			s.Backend, s.BackendPort = fmt.Sprintf("127.0.0.1:%d", echo), echo
			s.speakHTTP2()
		})
	})
}

// grpcArguments have h2load make calls rather than requests.
func (b *bench) grpcArguments() ([]string, error) {
	path := filepath.Join(b.cache, "run", "message")
	if err := os.WriteFile(path, grpcMessage, 0o644); err != nil {
		return nil, err
	}
	return []string{"-d", path, "-H", "content-type: application/grpc", "-H", "te: trailers"}, nil
}

// verifyGRPC checks that calls come back byte for byte and with their status, the forwarding fields, and
// the routing.
func (i *instance) verifyGRPC() error {
	for _, size := range []int{0, 1, len(smallBody), 10 << 10} {
		message := frameMessage(bytes.Repeat([]byte{0xa5}, size))
		got, err := i.call(host, sayPath, message)
		if err != nil || !bytes.Equal(got, message) {
			return fmt.Errorf("%s: a message of %d bytes came back with %d: %w", i.name, len(message), len(got), err)
		}
	}
	got, err := i.call(host, forwardedPath, frameMessage(nil))
	if err != nil {
		return fmt.Errorf("%s: %w", i.name, err)
	}
	if err := i.checkForwarded(string(got)); err != nil {
		return err
	}
	for _, miss := range [][2]string{{"other.test", sayPath}, {host, "/other.Echo/Say"}} {
		if got, err := i.call(miss[0], miss[1], frameMessage(nil)); err == nil {
			return fmt.Errorf("%s: %s of host %s must not be routed, and was answered with %d bytes", i.name, miss[1], miss[0], len(got))
		}
	}
	return nil
}

// call makes one call on a connection of its own and returns the answer's messages, framed.
func (i *instance) call(host, path string, message []byte) ([]byte, error) {
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	request, err := http.NewRequest("POST", fmt.Sprintf("http://127.0.0.1:%d%s", i.http2(), path), bytes.NewReader(message))
	if err != nil {
		return nil, err
	}
	request.Host = host
	request.Header.Set("Content-Type", "application/grpc")
	request.Header.Set("Te", "trailers")
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if status := response.Trailer.Get("Grpc-Status"); response.StatusCode != 200 || status != "0" {
		return nil, fmt.Errorf("%s: HTTP %d, grpc-status %q", path, response.StatusCode, status)
	}
	return got, nil
}

// http2 is the port on which the instance speaks HTTP/2.
func (i *instance) http2() int {
	if i.http2Shared {
		return i.Port
	}
	return i.HTTP2Port
}

// withEcho runs f while the backend that sends back whatever it gets listens on a port.
func (b *bench) withEcho(f func(port int) error) error {
	directory, err := os.MkdirTemp(filepath.Join(b.cache, "run"), "echo-")
	if err != nil {
		return err
	}
	ports, err := freePorts(1)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	address := fmt.Sprintf("127.0.0.1:%d", ports[0])
	echo, err := startProcess("echo", directory, generatorCPU, []string{"GOMAXPROCS=1"}, self, echoCommand, address)
	if err != nil {
		return err
	}
	defer echo.stop()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
			break
		}
		if time.Now().After(deadline) {
			return echo.failure(err.Error())
		}
	}
	err = f(ports[0])
	select {
	case <-echo.exited: // whatever failed, that is why
		return fmt.Errorf("%w: %w", echo.failure("ended"), err)
	default:
		return err
	}
}

// forwardedText is what the backend tells of the forwarding fields, in the words of configs/backend.conf.
func forwardedText(field func(name string) string) string {
	var text strings.Builder
	for _, f := range [][2]string{{"for", "X-Forwarded-For"}, {"proto", "X-Forwarded-Proto"}, {"host", "X-Forwarded-Host"},
		{"port", "X-Forwarded-Port"}, {"server", "X-Forwarded-Server"}} {
		text.WriteString(f[0] + "=" + field(f[1]) + " ")
	}
	return text.String() + "real=" + field("X-Real-Ip") + "."
}
