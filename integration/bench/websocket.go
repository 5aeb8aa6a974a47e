//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// webSocketLoads are of connections that stay: on each a message goes out as soon as the last came back.
var webSocketLoads = []load{
	{Name: "WebSocket echo, 128 B, c=64", Connections: 64, WebSocket: true, Path: "/api/echo", Size: 128},
}

// measureWebSocket compares tunnels of HTTP/1.1. A request is a message there and back.
func (b *bench) measureWebSocket() error {
	return b.withEcho(func(echo int) error {
		return b.compare("bare", webSocketLoads, b.rounds, func(s *settings) {
			s.WebSocket = true
			s.Backend, s.BackendPort = fmt.Sprintf("127.0.0.1:%d", echo), echo
		})
	})
}

// A message of so many bytes takes a frame with a length of 16 bits. RFC 6455 §5.2.
const (
	frameHeader = 4
	finalBinary = 0x82
	masked      = 0x80
	length16    = 126
)

// webSocketKey is what clients say, to which webSocketAccept is the answer. RFC 6455 §4.2.2.
const webSocketKey = "dGhlIHNhbXBsZSBub25jZQ=="

func webSocketAccept(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// webSocketLoad drives a load from this program. A message that does not come back as it went is an error.
func (b *bench) webSocketLoad(i *instance, l load, duration time.Duration) (wrkResult, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // one CPU is all there is, and nothing here blocks
	payload := bytes.Repeat([]byte{0x5a}, int(l.Size))
	mask := [4]byte{1, 2, 3, 4}
	sent := append(binary.BigEndian.AppendUint16([]byte{finalBinary, masked | length16}, uint16(len(payload))), mask[:]...)
	for n, c := range payload {
		sent = append(sent, c^mask[n%4])
	}
	back := append(binary.BigEndian.AppendUint16([]byte{finalBinary, length16}, uint16(len(payload))), payload...)
	var conns []net.Conn
	for range l.Connections {
		conn, err := i.openWebSocket(l.Path)
		if err != nil {
			return wrkResult{}, err
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(duration + 10*time.Second))
		conns = append(conns, conn)
	}
	counts, failures := make([]int64, len(conns)), make([]error, len(conns))
	var all sync.WaitGroup
	began := time.Now()
	for n, conn := range conns {
		all.Go(func() {
			got := make([]byte, len(back))
			for time.Since(began) < duration {
				if _, failures[n] = conn.Write(sent); failures[n] != nil {
					return
				}
				if _, failures[n] = io.ReadFull(conn, got); failures[n] != nil {
					return
				}
				if !bytes.Equal(got, back) {
					failures[n] = fmt.Errorf("a message came back as %x", got)
					return
				}
				counts[n]++
			}
		})
	}
	all.Wait()
	result := wrkResult{Micros: time.Since(began).Microseconds()}
	for n := range conns {
		if failures[n] != nil {
			return wrkResult{}, failures[n]
		}
		result.Requests += counts[n]
	}
	if result.Requests == 0 {
		return wrkResult{}, fmt.Errorf("no message came back in %s", duration)
	}
	result.Bytes = result.Requests * l.Size
	return result, nil
}

// openWebSocket opens a connection and changes its protocol.
func (i *instance) openWebSocket(path string) (net.Conn, error) {
	conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", i.Port), 5*time.Second)
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n",
		path, host, webSocketKey)
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil)
	if err == nil && (response.StatusCode != http.StatusSwitchingProtocols || response.Header.Get("Sec-WebSocket-Accept") != webSocketAccept(webSocketKey)) {
		err = fmt.Errorf("%s instead of a WebSocket", response.Status)
	}
	if err == nil && reader.Buffered() > 0 {
		err = fmt.Errorf("%d bytes behind the change of protocol", reader.Buffered())
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// verifyWebSocket has messages echoed, as a library sees them.
func (i *instance) verifyWebSocket() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, fmt.Sprintf("ws://127.0.0.1:%d/api/echo", i.Port), &websocket.DialOptions{Host: host})
	if err != nil {
		return fmt.Errorf("%s: %w", i.name, err)
	}
	defer conn.CloseNow()
	for _, size := range []int{0, 1, len(smallBody), 10 << 10} {
		message := bytes.Repeat([]byte{0xa5}, size)
		if err := conn.Write(ctx, websocket.MessageBinary, message); err != nil {
			return fmt.Errorf("%s: %w", i.name, err)
		}
		if _, got, err := conn.Read(ctx); err != nil || !bytes.Equal(got, message) {
			return fmt.Errorf("%s: a message of %d bytes came back with %d: %w", i.name, size, len(got), err)
		}
	}
	return nil
}

// serveWebSocket is the backend: it echoes, and answers the paths of configs/backend.conf as that does.
func serveWebSocket(w http.ResponseWriter, r *http.Request) {
	switch size := map[string]int{"/api/10k": 10 << 10, "/api/1m": 1 << 20}[r.URL.Path]; {
	case r.URL.Path == "/api/echo" && r.Header.Get("Upgrade") == "websocket":
		conn, both, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: %s\r\n\r\n",
			webSocketAccept(r.Header.Get("Sec-WebSocket-Key")))
		echoFrames(conn, both.Reader)
	case r.URL.Path == "/api/forwarded":
		io.WriteString(w, forwardedText(r.Header.Get))
	case size > 0:
		w.Header().Set("Content-Length", strconv.Itoa(size))
		io.WriteString(w, strings.Repeat("0123456789abcdef", size/16))
	default:
		io.WriteString(w, smallBody)
	}
}

// echoFrames sends every frame back, unmasked, until the client closes.
func echoFrames(conn net.Conn, reader *bufio.Reader) error {
	buffer := make([]byte, 64<<10)
	for {
		head, err := reader.Peek(2)
		if err != nil {
			return err
		}
		first, size, skip := head[0], int(head[1]&^masked), 2
		if size == length16 {
			if head, err = reader.Peek(frameHeader); err != nil {
				return err
			}
			size, skip = int(binary.BigEndian.Uint16(head[2:])), frameHeader
		}
		if size > length16 && skip == 2 || head[1]&masked == 0 {
			return fmt.Errorf("a frame that is too long or not masked")
		}
		reader.Discard(skip)
		out := append(buffer[:0], first)
		if skip == 2 {
			out = append(out, byte(size))
		} else {
			out = binary.BigEndian.AppendUint16(append(out, length16), uint16(size))
		}
		var mask [4]byte
		if _, err := io.ReadFull(reader, mask[:]); err != nil {
			return err
		}
		at := len(out)
		out = append(out, make([]byte, size)...)
		if _, err := io.ReadFull(reader, out[at:]); err != nil {
			return err
		}
		for n := range out[at:] {
			out[at+n] ^= mask[n%4]
		}
		if _, err := conn.Write(out); err != nil || first&0xf == 8 {
			return err
		}
	}
}
