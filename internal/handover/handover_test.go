//go:build unix

package handover

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

var quiet = slog.New(slog.DiscardHandler)

// listen obtains a socket that echoes who accepted a connection.
func listen(t *testing.T, s *Sockets, who, address string) net.Listener {
	t.Helper()
	ln, err := s.Listen(who, address, func() (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, who)
			c.Close()
		}
	}()
	return ln
}

func ask(t *testing.T, address string) string {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	who, _ := io.ReadAll(c)
	return string(who)
}

func serve(t *testing.T, path string, s *Sockets, stop func()) *Server {
	t.Helper()
	v, err := Serve(path, s, quiet, stop)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	return v
}

func TestSuccessorTakesOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run", "restart.sock")
	var old, young Sockets
	ln := listen(t, &old, "old", ":80")
	address := ln.Addr().String()
	if old.State() != nil {
		t.Error("the first process was given a state")
	}
	secret := []byte{0, 1, '\n', 0xff}
	old.KeepState(func() []byte { return secret })
	v := serve(t, path, &old, func() { ln.Close() })

	p, err := Take(path, &young)
	if err != nil || p == nil {
		t.Fatal(p, err)
	}
	if got := young.State(); !bytes.Equal(got, secret) {
		t.Errorf("was given %q, want %q", got, secret)
	}
	if p.PID != os.Getpid() {
		t.Errorf("PID %d", p.PID)
	}
	if who := ask(t, address); who != "old" {
		t.Errorf("%q answered before the handover", who)
	}
	listen(t, &young, "young", ":80")
	if err := p.Ready(); err != nil {
		t.Fatal(err)
	}
	closed := make(chan struct{})
	go func() {
		v.Close()
		close(closed)
	}()
	select {
	case <-closed:
		t.Error("the name is nobody's")
	default:
	}
	p.Done()
	<-closed
	for range 20 {
		if who := ask(t, address); who != "young" {
			t.Errorf("%q answered after the handover", who)
		}
	}
	if left := young.CloseUnused(); len(left) > 0 {
		t.Errorf("unused: %v", left)
	}
}

func TestSuccessorThatFailsChangesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "restart.sock")
	var old Sockets
	ln := listen(t, &old, "old", ":80")
	var log bytes.Buffer
	v, err := Serve(path, &old, slog.New(slog.NewTextHandler(&log, nil)), func() { t.Error("stopped") })
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		var young Sockets
		p, err := Take(path, &young)
		if err != nil {
			t.Fatal(err)
		}
		p.Done()
		if left := young.CloseUnused(); len(left) != 1 || left[0] != "tcp :80" {
			t.Errorf("unused: %v", left)
		}
	}
	for range 20 {
		if who := ask(t, ln.Addr().String()); who != "old" {
			t.Errorf("%q answered", who)
		}
	}
	v.Close()
	if said := log.String(); strings.Count(said, "serving on") != 3 {
		t.Errorf("said %q", said)
	}
}

// More sockets than one message carries, of both kinds.
func TestManySockets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "restart.sock")
	var old, young Sockets
	const n = perMessage + 7
	want := map[string]string{}
	open := func() (net.PacketConn, error) { return net.ListenPacket("udp", "127.0.0.1:0") }
	for i := range n {
		name := strconv.Itoa(i)
		if i%2 == 0 {
			want[name] = listen(t, &old, "old", name).Addr().String()
			continue
		}
		c, err := old.ListenPacket("x", name, open)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		want[name] = c.LocalAddr().String()
	}
	serve(t, path, &old, func() {})
	p, err := Take(path, &young)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Done()
	for i := range n {
		name := strconv.Itoa(i)
		if i%2 == 0 {
			if got := listen(t, &young, "young", name).Addr().String(); got != want[name] {
				t.Errorf("%s is %s, want %s", name, got, want[name])
			}
			continue
		}
		c, err := young.ListenPacket("x", name, open)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if got := c.LocalAddr().String(); got != want[name] {
			t.Errorf("%s is %s, want %s", name, got, want[name])
		}
	}
}

func TestNobodyToTakeFrom(t *testing.T) {
	directory := t.TempDir()
	path := filepath.Join(directory, "restart.sock")
	if p, err := Take(path, &Sockets{}); p != nil || err != nil {
		t.Errorf("no socket: %v, %v", p, err)
	}
	var s Sockets
	v := serve(t, path, &s, func() {})
	v.Close() // like a process that was killed: the name is left
	if p, err := Take(path, &Sockets{}); p != nil || err != nil {
		t.Errorf("a socket nobody serves: %v, %v", p, err)
	}
	serve(t, path, &s, func() {})
	p, err := Take(path, &Sockets{})
	if err != nil || p == nil {
		t.Fatal("the name could not be used again", err)
	}
	p.Done()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// What is at the path and is not a socket is left alone.
func TestPathOfAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pergola.yaml")
	if err := os.WriteFile(path, []byte("entryPoints: {}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if p, err := Take(path, &Sockets{}); p != nil || err == nil || !strings.Contains(err.Error(), "is not a socket") {
		t.Errorf("taken from a file: %v, %v", p, err)
	}
	if v, err := Serve(path, &Sockets{}, quiet, func() {}); err == nil {
		v.Close()
		t.Error("served in place of a file")
	}
	if content, err := os.ReadFile(path); err != nil || string(content) != "entryPoints: {}" {
		t.Errorf("the file now holds %q, %v", content, err)
	}
}

// Of two successors the first that is ready wins, and a third finds it at once.
func TestTwoSuccessors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "restart.sock")
	var old, first, second, third Sockets
	ln := listen(t, &old, "old", ":80")
	serve(t, path, &old, func() { ln.Close() })
	p1, err := Take(path, &first)
	if err != nil {
		t.Fatal(err)
	}
	p2, err := Take(path, &second)
	if err != nil {
		t.Fatal(err)
	}
	ln1 := listen(t, &first, "first", ":80")
	defer second.CloseUnused()
	if err := p1.Ready(); err != nil {
		t.Fatal(err)
	}
	defer p1.Done()
	if err := p2.Ready(); err != ErrLate {
		t.Errorf("the second successor got %v", err)
	}
	go func() { serve(t, path, &first, func() { ln1.Close() }) }() // a moment later than it should
	p3, err := Take(path, &third)
	if err != nil || p3 == nil {
		t.Fatal(p3, err)
	}
	p3.Done()
	if left := third.CloseUnused(); len(left) != 1 {
		t.Errorf("the third got %v", left)
	}
}

// What is not a successor, or not a predecessor, is turned away.
func TestStrangers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "restart.sock")
	var s Sockets
	listen(t, &s, "old", ":80")
	serve(t, path, &s, func() { t.Error("stopped") })
	for _, text := range []string{"GET / HTTP/1.1\r\n", greeting + "not ready\n", ready + ready} {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, text)
		if got, _ := io.ReadAll(c); strings.Contains(string(got), "draining") {
			t.Errorf("%q was obeyed", text)
		}
		c.Close()
	}
	other := filepath.Join(t.TempDir(), "other.sock")
	for _, answer := range []string{"hello\n", `{"sockets":[{"network":"tcp","address":":1"}]}` + "\n", "{}"} {
		os.Remove(other)
		ln, err := net.Listen("unix", other)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			c, err := ln.Accept()
			if err == nil {
				io.WriteString(c, answer)
				c.Close()
			}
		}()
		if p, err := Take(other, &Sockets{}); err == nil || p != nil {
			t.Errorf("%q was taken for a predecessor", answer)
		}
		ln.Close()
	}
}

// Sockets go from process to process while connections keep coming: every one is answered.
func TestNoConnectionIsLost(t *testing.T) {
	path := filepath.Join(t.TempDir(), "restart.sock")
	sockets := new(Sockets)
	ln := listen(t, sockets, "0", ":80")
	address := ln.Addr().String()
	serve(t, path, sockets, func() { ln.Close() })
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				c, err := net.Dial("tcp", address)
				if err != nil {
					t.Error(err)
					return
				}
				if who, err := io.ReadAll(c); err != nil || len(who) == 0 {
					t.Errorf("answered %q, %v", who, err)
				}
				c.Close()
			}
		})
	}
	for i := range 50 {
		next := new(Sockets)
		p, err := Take(path, next)
		if err != nil {
			t.Fatal(err)
		}
		ln := listen(t, next, fmt.Sprint(i+1), ":80")
		if err := p.Ready(); err != nil {
			t.Fatal(err)
		}
		serve(t, path, next, func() { ln.Close() })
		p.Done()
	}
	close(stop)
	wg.Wait()
}

func TestNotify(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenPacket("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	if err := Notify("READY=1", "MAINPID=7"); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	n, _, err := c.ReadFrom(buf)
	if err != nil || string(buf[:n]) != "READY=1\nMAINPID=7" {
		t.Errorf("got %q, %v", buf[:n], err)
	}
	t.Setenv("NOTIFY_SOCKET", "")
	if err := Notify("READY=1"); err != nil {
		t.Error(err)
	}
}

func TestSocketsOfAnotherProcessAreLeftAlone(t *testing.T) {
	t.Setenv("LISTEN_PID", "1")
	t.Setenv("LISTEN_FDS", "2")
	var s Sockets
	if err := s.AddSystemd(); err != nil {
		t.Fatal(err)
	}
	if left := s.CloseUnused(); len(left) > 0 {
		t.Errorf("took %v", left)
	}
	if os.Getenv("LISTEN_FDS") != "" {
		t.Error("a child would see the variables")
	}
}

// A socket without a name is found by its address, however that is written.
func TestSocketsByAddress(t *testing.T) {
	for _, tt := range []struct {
		network, bound, configured string
		found                      bool
	}{
		{"tcp", "[::]:%d", ":%d", true},
		{"tcp4", "0.0.0.0:%d", ":%d", true},
		{"tcp4", "0.0.0.0:%d", "0.0.0.0:%d", true},
		{"tcp6", "[::]:%d", "[0:0:0::0]:%d", true},
		{"tcp", "127.0.0.1:%d", "127.0.0.1:%d", true},
		{"tcp", "[::]:%d", "0.0.0.0:%d", false}, // it would let in who is not to be
		{"tcp", "127.0.0.1:%d", ":%d", false},
		{"tcp", "127.0.0.1:%d", "127.0.0.2:%d", false},
	} {
		host, _, _ := net.SplitHostPort(fmt.Sprintf(tt.bound, 0))
		ln, err := net.Listen(tt.network, net.JoinHostPort(host, "0"))
		if err != nil {
			t.Fatal(err)
		}
		port := ln.Addr().(*net.TCPAddr).Port
		f, err := ln.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		k, err := bound(f)
		if want := fmt.Sprintf(tt.bound, port); err != nil || k.Address != want {
			t.Errorf("bound to %s, want %s: %v", k.Address, want, err)
		}
		s := Sockets{bound: map[key]*os.File{k: f}}
		got := s.claim("web", key{Network: "tcp", Address: fmt.Sprintf(tt.configured, port)})
		if (got == f) != tt.found {
			t.Errorf("a socket at %s for %s: found %v", tt.bound, tt.configured, got == f)
		}
		if s.claim("web", key{Network: "udp", Address: k.Address}) != nil {
			t.Errorf("a socket of TCP at %s was taken for one of UDP", tt.bound)
		}
		f.Close()
		ln.Close()
	}
}
