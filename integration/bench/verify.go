//go:build linux

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// await polls until the proxy answers, then compares what it does with what all must do.
func (b *bench) await(i *instance) error {
	deadline := time.After(20 * time.Second)
	for {
		if response, _, err := i.fetch("/api/128", host); err == nil && response.StatusCode == 200 {
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

// verify checks that the proxy does what it is measured at.
func (b *bench) verify(i *instance) error {
	if i.GRPC {
		return i.verifyGRPC()
	}
	if err := b.verifyHTTP(i); err != nil || !i.WebSocket {
		return err
	}
	return i.verifyWebSocket()
}

// verifyHTTP checks the bodies byte for byte, the forwarding headers and the routing.
func (b *bench) verifyHTTP(i *instance) error {
	for _, path := range []string{"/api/128", "/api/10k", "/api/1m"} {
		_, want, err := fetch(b.backendPort, path, host)
		if err != nil {
			return err
		}
		response, got, err := i.fetch(path, host)
		if err != nil || response.StatusCode != 200 || !bytes.Equal(got, want) {
			return fmt.Errorf("%s: %s through the proxy differs: %d bytes, want %d, %v", i.name, path, len(got), len(want), err)
		}
	}
	_, headers, err := i.fetch("/api/forwarded", host)
	if err != nil {
		return err
	}
	if err := i.checkForwarded(string(headers)); err != nil {
		return err
	}
	for _, miss := range [][2]string{{"/api/128", "other.test"}, {"/elsewhere", host}} {
		if response, _, err := i.fetch(miss[0], miss[1]); err != nil || response.StatusCode != 404 {
			return fmt.Errorf("%s: %s of host %s must not be routed: %v, %v", i.name, miss[0], miss[1], response, err)
		}
	}
	return nil
}

// checkForwarded checks what the backend says that it got.
func (i *instance) checkForwarded(got string) error {
	for _, want := range []string{"proto=" + i.scheme() + " ", "host=bench.test ", "real=127.0.0.1."} {
		if !strings.Contains(got, want) {
			return fmt.Errorf("%s: forwarding headers %q lack %q", i.name, got, want)
		}
	}
	// These only have to be there. Envoy gives its own address for a client on the loopback interface,
	// Pergola and Traefik the port of the Host field, and each names itself.
	for _, empty := range []string{"for= ", "port= ", "server= "} {
		if strings.Contains(got, empty) {
			return fmt.Errorf("%s: forwarding headers %q: nothing after %s", i.name, got, empty)
		}
	}
	return nil
}

// host is what the measured route matches.
const host = "bench.test"

// fetch sends one request on a connection of its own.
func fetch(port int, path, host string) (*http.Response, []byte, error) {
	return (&instance{settings: settings{Port: port}}).fetch(path, host)
}

// fetch sends one request on a connection of its own.
func (i *instance) fetch(path, host string) (*http.Response, []byte, error) {
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", i.Port))
	if err != nil {
		return nil, nil, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	conn = i.secured(conn)
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", path, host)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return nil, nil, err
	}
	body, err := io.ReadAll(response.Body)
	return response, body, err
}
