//go:build linux

package integration

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"

	"github.com/pergola-mesh/pergola/integration/harness"
)

// transfer is a request over HTTP/3 whose body comes back as long as it is sent.
type transfer struct {
	holder int // the process that has the connection
	until  int // when it is to end: so many upgrades since the beginning
	load   *harness.Load
	in     *io.PipeWriter
	out    io.ReadCloser
}

// transfer begins one, with the process that serves now.
func (m *mixed) transfer(pid, until int) *transfer {
	m.t.Helper()
	transport := &http3.Transport{TLSClientConfig: m.config("a.test")}
	m.t.Cleanup(func() { transport.Close() })
	body, in := io.Pipe()
	response, err := transport.RoundTrip(m.request("POST", "https", "/mirror", body, false))
	if err != nil {
		m.t.Fatalf("a long transfer over HTTP/3: %v", err)
	}
	sent, got := make([]byte, 16<<10), make([]byte, 16<<10)
	load := harness.Repeat(m.t, 1, func() error {
		rand.Read(sent)
		timeout := time.AfterFunc(harness.Patience, func() { body.CloseWithError(errors.New("nothing moves")) })
		defer timeout.Stop()
		if _, err := in.Write(sent); err != nil {
			return err
		}
		if _, err := io.ReadFull(response.Body, got); err != nil {
			return err
		}
		if !bytes.Equal(sent, got) {
			return errors.New("other bytes came back")
		}
		return nil
	})
	return &transfer{pid, until, load, in, response.Body}
}

// end ends it: all that was sent has come back, and then a clean end.
func (f *transfer) end(t *testing.T) {
	t.Helper()
	f.load.MustNotFail(t, 1)
	f.in.Close()
	if rest, err := io.ReadAll(f.out); err != nil || len(rest) > 0 {
		t.Errorf("a long transfer over HTTP/3 ended after %d blocks with %d bytes, %v", f.load.Done.Load(), len(rest), err)
	}
	t.Logf("a long transfer over HTTP/3: %d blocks", f.load.Done.Load())
}

// tcpSocket is a connection of TCP to an echo, as a tunnel.
type tcpSocket struct {
	net.Conn
	t *testing.T
}

func dialTCP(t *testing.T, address string) socket {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return tcpSocket{conn, t}
}

func (s tcpSocket) echo(text string) {
	s.t.Helper()
	s.SetDeadline(time.Now().Add(harness.Patience))
	io.WriteString(s.Conn, text)
	got := make([]byte, len(text))
	if n, err := io.ReadFull(s.Conn, got); err != nil || string(got) != text {
		s.t.Fatalf("TCP: sent %q, got %q, %v", text, got[:n], err)
	}
}

func (s tcpSocket) close() {
	s.Conn.(*net.TCPConn).CloseWrite()
	if rest, err := io.ReadAll(s.Conn); err != nil || len(rest) > 0 {
		s.t.Errorf("TCP: %q, %v after the end", rest, err)
	}
}

func (s tcpSocket) cut() string {
	s.SetDeadline(time.Now().Add(harness.Patience))
	if _, err := io.ReadAll(s.Conn); !errors.Is(err, syscall.ECONNRESET) {
		return fmt.Sprint(err)
	}
	return "reset"
}
