package handover

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/net/ipv4"
)

// quicProcess is a process that notes the packets it gets.
type quicProcess struct {
	sockets Sockets
	conn    *QUICConn
	got     chan string // "payload from address"
}

func startQUIC(t *testing.T, path string) *quicProcess {
	t.Helper()
	p := &quicProcess{got: make(chan string, 1000)}
	before, err := Take(path, &p.sockets)
	if err != nil {
		t.Fatal(err)
	}
	p.conn, err = p.sockets.ListenQUIC("web", ":443", func() (net.PacketConn, error) { return net.ListenPacket("udp", "127.0.0.1:0") })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.conn.Close() })
	go func() {
		ms := make([]ipv4.Message, 8)
		for i := range ms {
			ms[i].Buffers, ms[i].OOB = [][]byte{make([]byte, 2000)}, make([]byte, 128)
		}
		for {
			n, err := p.conn.ReadBatch(ms, 0)
			if err != nil {
				close(p.got)
				return
			}
			for _, m := range ms[:n] {
				p.got <- fmt.Sprintf("%s from %s", m.Buffers[0][len(m.Buffers[0][:m.N])-1:m.N], m.Addr)
				for i := range ms {
					ms[i].Buffers[0] = ms[i].Buffers[0][:2000]
				}
			}
		}
	}()
	if before != nil {
		if err := before.Ready(); err != nil {
			t.Fatal(err)
		}
	}
	serve(t, path, &p.sockets, func() {})
	if before != nil {
		before.Done()
	}
	return p
}

func (p *quicProcess) want(t *testing.T, what string) {
	t.Helper()
	select {
	case got := <-p.got:
		if got != what {
			t.Errorf("got %q, want %q", got, what)
		}
	case <-time.After(20 * time.Second):
		t.Errorf("nothing came, want %q", what)
	}
}

// packet is one of a connection of p, with a short or a long header; mark is its last byte.
func (p *quicProcess) packet(long bool, mark byte) []byte {
	tag := p.sockets.Tag()
	head := []byte{0x40}
	if long {
		head = []byte{0xe0, 0, 0, 0, 1, 12}
	}
	return append(append(append(head, tag[:]...), "12345678"...), mark)
}

// initial is the first packet of a connection.
var initial = []byte{0xc0, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 'n'}

// quicClient sends packets.
type quicClient struct {
	*net.UDPConn
	t *testing.T
}

// client returns a client of p's socket, and what p notes behind a payload of its.
func (p *quicProcess) client(t *testing.T) (c quicClient, from string) {
	t.Helper()
	udp, err := net.DialUDP("udp", nil, p.conn.LocalAddr().(*net.UDPAddr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { udp.Close() })
	return quicClient{udp, t}, " from " + udp.LocalAddr().String()
}

func (c quicClient) send(packets ...[]byte) {
	c.t.Helper()
	for _, p := range packets {
		if _, err := c.Write(p); err != nil {
			c.t.Fatal(err)
		}
	}
}

// Packets reach the process that has their connection, however often that was replaced; new ones reach
// the last.
func TestPacketsReachTheirProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "restart.sock")
	a := startQUIC(t, path)
	client, from := a.client(t)
	client.send(a.packet(false, 's'), initial)
	a.want(t, "s"+from)
	a.want(t, "n"+from)

	b := startQUIC(t, path)
	client.send(a.packet(false, 's'), a.packet(true, 'l'), b.packet(false, 'b'), initial, []byte{0x40}, []byte{0xc0, 0})
	a.want(t, "s"+from)
	a.want(t, "l"+from)
	b.want(t, "b"+from)
	b.want(t, "n"+from)
	b.want(t, "\x40"+from)
	b.want(t, "\x00"+from)

	c := startQUIC(t, path)
	client.send(a.packet(false, '1'), b.packet(true, '2'), c.packet(false, '3'), initial)
	a.want(t, "1"+from)
	b.want(t, "2"+from)
	c.want(t, "3"+from)
	c.want(t, "n"+from)

	// All of them write.
	buf := make([]byte, 10)
	for i, p := range []*quicProcess{a, b, c} {
		if _, err := p.conn.WriteTo([]byte{byte('0' + i)}, client.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		client.SetReadDeadline(time.Now().Add(20 * time.Second))
		if n, err := client.Read(buf); err != nil || string(buf[:n]) != string(rune('0'+i)) {
			t.Errorf("process %d: the client read %q, %v", i, buf[:n], err)
		}
	}

	// When the first has ended its packets go to the newest, which resets the connection.
	a.conn.Close()
	for range a.got {
	}
	client.send(c.packet(false, '3'))
	c.want(t, "3"+from)
	eventually(t, "the way to the first to end", func() bool { return !b.knows(a) && !c.knows(a) })
	client.send(a.packet(false, 'x'))
	c.want(t, "x"+from)

	// A successor that dies leaves its predecessor to read for itself.
	c.conn.Close()
	for range c.got {
	}
	client.send(b.packet(false, '2'))
	b.want(t, "2"+from)
}

// A process whose connections have ended may end, whatever older ones there are: theirs and the newest's
// packets do not need it. Of those that have ended nothing is left.
func TestProcessesBetweenMayEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "restart.sock")
	a := startQUIC(t, path)
	client, from := a.client(t)
	last := startQUIC(t, path)
	for range 40 {
		next := startQUIC(t, path)
		last.conn.Close()
		for range last.got {
		}
		eventually(t, "the way to it to end", func() bool { return !next.knows(last) })
		client.send(a.packet(false, '1'), a.packet(true, '2'), next.packet(false, '3'), initial)
		a.want(t, "1"+from)
		a.want(t, "2"+from)
		next.want(t, "3"+from)
		next.want(t, "n"+from)
		last = next
	}
	eventually(t, "one way alone to remain", func() bool {
		keys, files, err := last.conn.older.files("")
		for _, f := range files {
			f.Close()
		}
		return err == nil && len(keys) == 1
	})
	// When the newest has ended too, the oldest is alone again.
	last.conn.Close()
	for range last.got {
	}
	client.send(a.packet(false, '1'))
	a.want(t, "1"+from)
}

// A deadline, by which a server stops reading, holds wherever the packets come from.
func TestReadDeadline(t *testing.T) {
	path := filepath.Join(t.TempDir(), "restart.sock")
	a := startQUIC(t, path)
	startQUIC(t, path)
	a.conn.SetReadDeadline(past)
	for range a.got {
	}
	b := startQUIC(t, path)
	b.conn.SetReadDeadline(past)
	for range b.got {
	}
	startQUIC(t, path)
	if _, err := b.conn.ReadBatch(make([]ipv4.Message, 1), 0); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("reading after the deadline: %v", err)
	}
}

// knows reports whether p passes packets on to older.
func (p *quicProcess) knows(older *quicProcess) bool {
	p.conn.older.mu.Lock()
	defer p.conn.older.mu.Unlock()
	return p.conn.older.to[older.sockets.Tag()] != nil
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(20 * time.Second); !done(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("waited for %s", what)
		}
	}
}
