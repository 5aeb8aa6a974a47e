//go:build linux

package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"
)

// startEcho starts the backend and returns it as an instance that nothing is in front of.
func startEcho(t *testing.T) *instance {
	t.Helper()
	ports, err := freePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	i := &instance{product: product{name: "echo", http2Shared: true}, settings: settings{Port: ports[0]}}
	ended := make(chan error, 1)
	go func() { ended <- serveEcho(fmt.Sprintf("127.0.0.1:%d", i.Port)) }()
	for deadline := time.Now().Add(20 * time.Second); ; {
		response, _, err := i.fetch("/api/128", host)
		if err == nil && response.StatusCode == 200 {
			return i
		}
		select {
		case err := <-ended:
			t.Fatal(err)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func TestEchoCalls(t *testing.T) {
	i := startEcho(t)
	var all sync.WaitGroup
	for size := range 20 {
		all.Go(func() {
			message := frameMessage(bytes.Repeat([]byte{'m'}, size*500))
			if got, err := i.call(host, sayPath, message); err != nil || !bytes.Equal(got, message) {
				t.Errorf("%d bytes came back with %d: %v", len(message), len(got), err)
			}
		})
	}
	all.Wait()
}

// TestEchoWaitsForWindow has more come back on one connection than a client takes at once.
func TestEchoWaitsForWindow(t *testing.T) {
	i := startEcho(t)
	transport := &http.Transport{Protocols: new(http.Protocols), MaxConnsPerHost: 1}
	transport.Protocols.SetUnencryptedHTTP2(true)
	transport.HTTP2 = &http.HTTP2Config{MaxReceiveBufferPerConnection: 64 << 10, MaxReceiveBufferPerStream: 64 << 10}
	defer transport.CloseIdleConnections()
	message := bytes.Repeat([]byte{'m'}, 50<<10)
	for range 4 {
		response, err := transport.RoundTrip(&http.Request{Method: "POST", Header: http.Header{}, URL: &url.URL{Scheme: "http", Host: fmt.Sprintf("127.0.0.1:%d", i.Port), Path: sayPath},
			Body: io.NopCloser(bytes.NewReader(message)), ContentLength: int64(len(message))})
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || !bytes.Equal(got, message) {
			t.Fatalf("%d of %d bytes, %v", len(got), len(message), err)
		}
	}
}

func TestEchoMessages(t *testing.T) {
	i := startEcho(t)
	if err := i.verifyWebSocket(); err != nil {
		t.Error(err)
	}
	l := load{Connections: 3, Path: "/api/echo", Size: 128}
	if got, err := new(bench).webSocketLoad(i, l, 500*time.Millisecond); err != nil || got.Requests < 3 {
		t.Errorf("%+v, %v", got, err)
	}
}
