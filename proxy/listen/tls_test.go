package listen

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/pergola-mesh/pergola/internal/certtest"
	"github.com/pergola-mesh/pergola/internal/nettest"
)

var testTLS = sync.OnceValue(func() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{certtest.SelfSigned([]string{"h"})}}
})

// counted counts the calls that reach the socket, and hides it.
type counted struct {
	net.Conn
	reads, writes atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	c.reads.Add(1)
	return c.Conn.Read(p)
}

func (c *counted) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

// shaken returns a client of stock crypto/tls and a server of ours, which runs over wrap(its socket).
func shaken(t *testing.T, config *tls.Config, wrap func(net.Conn) net.Conn) (*tls.Conn, *Conn) {
	t.Helper()
	near, far := nettest.Pair(t)
	client := tls.Client(near, config)
	failed := make(chan error, 1)
	go func() { failed <- client.Handshake() }()
	var socket net.Conn = far
	if wrap != nil {
		socket = wrap(far)
	}
	server := tls.Server(NewConn(socket, nil).Wire(), testTLS())
	if err := server.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	return client, NewConn(server, nil)
}

var (
	tls13 = &tls.Config{InsecureSkipVerify: true}
	tls12 = &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}
)

// echo reads with buffers of size and writes all back, in the loop, until the stream ends.
func echo(c *Conn, size int) error {
	var err error
	buf := make([]byte, size)
	lost := c.Loop(func() bool {
		for {
			var n int
			ahead := c.Ahead()
			if n, err = c.Read(buf); err == ErrWouldBlock {
				return false
			}
			if err != nil {
				return true
			}
			if err = c.Write(buf[:n]); err != nil {
				return true
			}
			if !ahead && n < len(buf) && !c.Ahead() {
				return false
			}
		}
	})
	return errors.Join(err, lost)
}

// Whatever the sizes of records, reads and writes, every byte comes back, and nobody waits for what is
// there already.
func TestTLSInTheLoop(t *testing.T) {
	text := make([]byte, 300_000)
	rand.Read(text)
	hide := func(c net.Conn) net.Conn { return &counted{Conn: c} }
	for name, tt := range map[string]struct {
		config *tls.Config
		wrap   func(net.Conn) net.Conn
		size   int
		pieces []int
	}{
		"one record":            {tls13, nil, 16 << 10, []int{100}},
		"one record, small":     {tls13, nil, 7, []int{100}},
		"one record, TLS 1.2":   {tls12, nil, 7, []int{100}},
		"many at once":          {tls13, nil, 16 << 10, []int{300_000}},
		"many at once, small":   {tls13, nil, 1000, []int{300_000}},
		"many at once, TLS 1.2": {tls12, nil, 1000, []int{300_000}},
		"a full buffer":         {tls13, nil, 16 << 10, []int{16 << 10, 16 << 10, 16 << 10, 1}},
		"tiny ones":             {tls13, nil, 64 << 10, []int{1, 1, 1, 2, 3, 5, 8, 13, 1, 1}},
		"portable":              {tls13, hide, 1000, []int{1, 300, 200_000, 5}},
		"portable, TLS 1.2":     {tls12, hide, 1000, []int{1, 300, 200_000, 5}},
	} {
		t.Run(name, func(t *testing.T) {
			client, server := shaken(t, tt.config, tt.wrap)
			ended := make(chan error, 1)
			go func() { ended <- echo(server, tt.size) }()
			for range 3 {
				var want []byte
				for _, n := range tt.pieces {
					want = append(want, text[:n]...)
				}
				go func() {
					for _, n := range tt.pieces {
						client.Write(text[:n])
					}
				}()
				got := make([]byte, len(want))
				if _, err := io.ReadFull(client, got); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got, want) {
					t.Fatal("what came back is something else")
				}
			}
			client.CloseWrite()
			if err := <-ended; !errors.Is(err, io.EOF) {
				t.Errorf("ended with %v", err)
			}
		})
	}
}

// The end of the stream is only one if the peer said so.
func TestTLSTruncation(t *testing.T) {
	for name, tt := range map[string]struct {
		end  func(c *tls.Conn)
		want error
	}{
		"close_notify": {func(c *tls.Conn) { c.Close() }, io.EOF},
		"FIN":          {func(c *tls.Conn) { c.NetConn().Close() }, ErrTruncated},
		"in a record":  {func(c *tls.Conn) { c.NetConn().Write([]byte{23, 3, 3, 0, 99, 1}); c.NetConn().Close() }, io.ErrUnexpectedEOF},
		"after both": {func(c *tls.Conn) {
			c.CloseWrite()
			c.NetConn().Write([]byte("more"))
			c.NetConn().Close()
		}, io.EOF},
	} {
		for _, outside := range []bool{false, true} {
			client, server := shaken(t, tls13, nil)
			client.Write([]byte("some"))
			tt.end(client)
			p := make([]byte, 100)
			var err error
			if outside {
				for err == nil {
					_, err = server.Read(p)
				}
			} else {
				err = echo(server, 100)
			}
			if !errors.Is(err, tt.want) && !(tt.want != io.EOF && errors.Is(err, io.ErrUnexpectedEOF)) {
				t.Errorf("%s, outside %v: %v", name, outside, err)
			}
			if tt.want != io.EOF && errors.Is(err, io.EOF) {
				t.Errorf("%s, outside %v: taken for whole", name, outside)
			}
		}
	}
}

// A connection that waits, in the loop or outside it, has no buffer; and one that was interrupted goes on
// when that is taken back.
func TestIdleTLSHasNoBuffer(t *testing.T) {
	client, server := shaken(t, tls13, nil)
	if !server.Fused() {
		return // the portable path waits with a buffer
	}
	read := func() (string, error) {
		p := make([]byte, 10)
		var n int
		var err error
		if lost := server.Loop(func() bool {
			n, err = server.Read(p)
			return err != ErrWouldBlock
		}); lost != nil {
			return "", lost
		}
		return string(p[:n]), err
	}
	for _, wait := range []func() (string, error){read, func() (string, error) {
		p := make([]byte, 10)
		n, err := server.Read(p)
		return string(p[:n]), err
	}} {
		client.Write([]byte("hello"))
		if got, err := wait(); got != "hello" || err != nil {
			t.Fatal(got, err)
		}
		done := make(chan error, 1)
		go func() {
			_, err := wait()
			done <- err
		}()
		server.Interrupt()
		if err := <-done; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("interrupted: %v", err)
		}
		if server.w.buf != nil || server.lent != nil {
			t.Error("it keeps a buffer")
		}
		server.Resume()
		client.Write([]byte("again"))
		if got, err := wait(); got != "again" || err != nil {
			t.Fatal(got, err)
		}
	}
}

// Records that are made together are written together, and what has arrived is read at once.
func TestTLSCalls(t *testing.T) {
	var socket *counted
	client, server := shaken(t, tls13, func(c net.Conn) net.Conn {
		socket = &counted{Conn: c}
		return socket
	})
	if r, w := socket.reads.Load(), socket.writes.Load(); r > 3 || w > 2 {
		t.Errorf("a handshake took %d reads and %d writes", r, w)
	}
	go io.Copy(io.Discard, client)
	for _, tt := range []struct{ head, body, most int }{{200, 100, 1}, {200, 60_000, 1}, {0, 200_000, 4}, {40_000, 0, 1}} {
		before := socket.writes.Load()
		if err := server.Write2(make([]byte, tt.head), make([]byte, tt.body)); err != nil {
			t.Fatal(err)
		}
		if n := socket.writes.Load() - before; n > int64(tt.most) {
			t.Errorf("%d and %d bytes took %d writes", tt.head, tt.body, n)
		}
	}
	for range 10 {
		client.Write([]byte(strings.Repeat("x", 100)))
	}
	before := socket.reads.Load()
	p := make([]byte, 1000)
	for n := 0; n < 1000; {
		m, err := server.Read(p)
		if err != nil {
			t.Fatal(err)
		}
		n += m
	}
	if n := socket.reads.Load() - before; n > 10 {
		t.Errorf("10 records took %d reads", n)
	}
}

// One goroutine reads while another writes.
func TestTLSBothWays(t *testing.T) {
	client, server := shaken(t, tls13, nil)
	const size = 4 << 20
	go func() {
		defer server.CloseWrite()
		p := make([]byte, 50_000)
		for n := 0; n < size; n += len(p) {
			if server.Send(p) != nil {
				return
			}
		}
	}()
	var up sync.WaitGroup
	up.Go(func() { client.Write(make([]byte, size)) })
	read := make(chan int64, 1)
	go func() {
		n, _ := io.Copy(io.Discard, client)
		read <- n
	}()
	got := 0
	p := make([]byte, 20_000)
	server.Loop(func() bool {
		for {
			n, err := server.Read(p)
			if err == ErrWouldBlock {
				return false
			}
			if got += n; err != nil || got >= size {
				return true
			}
		}
	})
	up.Wait()
	if n := <-read; got != size || n < size {
		t.Errorf("%d bytes went one way, %d the other", got, n)
	}
}

// FuzzWire: crypto/tls gets what was sent, and never more of it at once than to the end of a record.
func FuzzWire(f *testing.F) {
	f.Add([]byte{22, 3, 1, 0, 2, 1, 2, 23, 3, 3, 0, 0, 23, 3, 3, 0, 1, 9}, uint16(3), uint16(7))
	f.Add(bytes.Repeat([]byte{23, 3, 3, 1, 0}, 300), uint16(1000), uint16(600))
	f.Add([]byte("GET / HTTP/1.1\r\n"), uint16(1), uint16(1))
	f.Fuzz(func(t *testing.T, in []byte, arrive, ask uint16) {
		near, far := net.Pipe()
		defer far.Close()
		go func() {
			defer near.Close()
			for rest := in; len(rest) > 0; {
				n := min(len(rest), max(int(arrive), 1))
				if _, err := near.Write(rest[:n]); err != nil {
					return
				}
				rest = rest[n:]
			}
		}()
		w := NewConn(far, nil).Wire().(*wire)
		var got []byte
		p := make([]byte, max(int(ask), 1))
		ends := recordEnds(in)
		for {
			n, err := w.Read(p)
			if err != nil {
				if err != io.EOF {
					t.Fatal(err)
				}
				break
			}
			if n == 0 {
				t.Fatal("nothing, and no error")
			}
			if len(ends) > 0 && len(got)+n > ends[0] {
				t.Fatalf("%d bytes at %d go beyond the record's end %d", n, len(got), ends[0])
			}
			got = append(got, p[:n]...)
			whole := len(ends) > 0 && len(got) == ends[0]
			if w.midway() == whole {
				t.Fatalf("midway %v at %d, records end at %v", w.midway(), len(got), ends)
			}
			if whole {
				ends = ends[1:]
			}
		}
		if !bytes.Equal(got, in) {
			t.Fatalf("%d bytes of %d", len(got), len(in))
		}
	})
}

// recordEnds are where the records of in end.
func recordEnds(in []byte) (ends []int) {
	for at := 0; at+5 <= len(in); {
		at += 5 + int(in[at+3])<<8 + int(in[at+4])
		ends = append(ends, at)
	}
	return ends
}

func TestSniff(t *testing.T) {
	long := strings.Repeat("s", 40_000)
	for name, tt := range map[string]struct {
		ahead, send string
		need        int
		want        error
	}{
		"a byte":         {"", "hello", 1, nil},
		"all":            {"", "hello", 5, nil},
		"ahead already":  {"hello", "", 3, nil},
		"ahead and more": {"he", "llo", 5, nil},
		"too short":      {"", "hello", 6, io.ErrUnexpectedEOF},
		"nothing":        {"", "", 1, io.EOF},
		"never enough":   {"", long, 1 << 20, nil},
	} {
		for _, hide := range []bool{false, true} {
			near, far := nettest.Pair(t)
			var c net.Conn = far
			if hide {
				c = &counted{Conn: far}
			}
			conn := NewConn(c, []byte(tt.ahead))
			go func() {
				near.SetNoDelay(true)
				for i := 0; i < min(len(tt.send), 10); i++ {
					io.WriteString(near, tt.send[i:i+1])
				}
				io.WriteString(near, tt.send[min(len(tt.send), 10):])
				near.CloseWrite()
			}()
			last := 0
			err := conn.Sniff(func(first []byte) bool {
				if len(first) < last {
					t.Errorf("%s: %d bytes after %d", name, len(first), last)
				}
				last = len(first)
				return last >= tt.need
			})
			if err != tt.want {
				t.Errorf("%s, hidden %v: %v", name, hide, err)
			}
			var got bytes.Buffer
			p := make([]byte, 1000)
			for {
				n, err := conn.Read(p)
				got.Write(p[:n])
				if err != nil {
					break
				}
			}
			if got.String() != tt.ahead+tt.send {
				t.Errorf("%s, hidden %v: %d bytes", name, hide, got.Len())
			}
		}
	}
}
