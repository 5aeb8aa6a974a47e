package relay_test

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/internal/waittest"
	"github.com/pergola-mesh/pergola/proxy/relay"
)

// noise is what is sent: a piece from anywhere in it.
var noise = sync.OnceValue(func() []byte {
	block := make([]byte, 512<<10)
	rand.NewChaCha8([32]byte{1}).Read(block)
	return block
})

// send writes size bytes that follow from seed, in pieces of all sizes, and returns their sum.
func send(w io.Writer, seed, size uint64) (sum uint32, err error) {
	random := rand.New(rand.NewPCG(seed, 0))
	block := noise()
	for left := int(size); left > 0; {
		at := random.IntN(len(block))
		piece := block[at:min(len(block), at+1+random.IntN(1<<(4+random.IntN(16))), at+left)]
		sum = crc32.Update(sum, crc32.IEEETable, piece)
		if _, err := w.Write(piece); err != nil {
			return 0, err
		}
		left -= len(piece)
	}
	return sum, nil
}

// receive reads to the end, in pieces of all sizes and not always at once, and returns what it sums up to.
func receive(r io.Reader, seed uint64) (sum uint32, err error) {
	random := rand.New(rand.NewPCG(seed, 1))
	buf := make([]byte, 256<<10)
	for {
		n, err := r.Read(buf[:1+random.IntN(1<<(4+random.IntN(15)))])
		sum = crc32.Update(sum, crc32.IEEETable, buf[:n])
		if err == io.EOF {
			return sum, nil
		} else if err != nil {
			return 0, err
		}
		if random.IntN(8) == 0 {
			runtime.Gosched()
		}
	}
}

// Whatever is sent arrives as it was, both ways at once, from many that send much or little, end early or
// late, or break off; and nothing is left of them.
func TestStress(t *testing.T) {
	streams := 120
	if testing.Short() {
		streams = 40
	}
	type side struct {
		sent, got uint32
		err       error
	}
	var mu sync.Mutex
	servers := map[string]side{}
	size := func(random *rand.Rand) uint64 { return random.Uint64N(1 << (4 + random.IntN(19))) }
	talk := func(c *net.TCPConn, seed uint64) (s side) {
		random := rand.New(rand.NewPCG(seed, 2))
		sent := make(chan error, 1)
		go func() {
			var err error
			if s.sent, err = send(c, seed, size(random)); err == nil {
				err = c.CloseWrite()
			}
			sent <- err
		}()
		s.got, s.err = receive(c, seed)
		if err := <-sent; s.err == nil {
			s.err = err
		}
		return s
	}
	served := make(chan struct{}, streams)
	server := serve(t, func(c *net.TCPConn) {
		defer func() { served <- struct{}{} }()
		var name [8]byte
		if _, err := io.ReadFull(c, name[:]); err != nil {
			return
		}
		if name[0] == 'r' { // it is to break off
			io.CopyN(io.Discard, c, 100<<10)
			c.SetLinger(0)
			return
		}
		s := talk(c, uint64(name[1])|1<<32)
		mu.Lock()
		servers[string(name[:])] = s
		mu.Unlock()
	})
	e := newEdge(t, &routes{plain: &relay.Route{Service: &backend{address: server}}})
	round := func() {
		var wg sync.WaitGroup
		for i := range streams {
			name := []byte{'t', byte(i), 0, 0, 0, 0, 0, 0}
			c := e.dial(t)
			wg.Go(func() {
				defer c.Close()
				switch i % 10 {
				case 8: // the server breaks off
					name[0] = 'r'
					c.Write(name)
					if _, err := send(c, uint64(i), 64<<20); err == nil {
						t.Error("the client of a server that broke off sees nothing of it")
					}
				case 9: // the client breaks off
					c.Write(name)
					send(c, uint64(i), uint64(i)<<13)
					c.SetLinger(0)
				default:
					c.Write(name)
					s := talk(c, uint64(i))
					if s.err != nil {
						t.Errorf("client %d: %v", i, s.err)
					}
					mu.Lock()
					servers["c"+string(name)] = s
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		for range streams {
			e.log.wait(t)
			<-served
		}
	}
	round() // makes what stays: loops, pipes
	goroutines, descriptors := runtime.NumGoroutine(), openDescriptors(t)
	clear(servers)
	round()
	waittest.Until(t, fmt.Sprintf("%d goroutines and %d descriptors, as before", goroutines, descriptors), func() bool {
		return runtime.NumGoroutine() <= goroutines && openDescriptors(t) <= descriptors+128 // pipes are kept
	})
	mu.Lock()
	defer mu.Unlock()
	compared := 0
	for i := range streams {
		if i%10 >= 8 {
			continue
		}
		name := string([]byte{'t', byte(i), 0, 0, 0, 0, 0, 0})
		client, server := servers["c"+name], servers[name]
		if client.sent != server.got || server.sent != client.got || server.err != nil {
			t.Errorf("stream %d: client %+v, server %+v", i, client, server)
		}
		compared++
	}
	if compared != streams*8/10 {
		t.Errorf("%d streams were compared", compared)
	}
}

func openDescriptors(t *testing.T) int {
	if runtime.GOOS != "linux" {
		return 0
	}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// A stream that waits for a reader who reads nothing is ended like any other, and frees what it holds.
func TestKillWhileFull(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	server := serve(t, func(c *net.TCPConn) { <-release })
	e := newEdge(t, &routes{plain: &relay.Route{Service: &backend{address: server}}})
	c := e.dial(t)
	fill(c)
	if err := e.Kill(t.Context()); err != nil || e.Active() != 0 {
		t.Errorf("%v, %d active", err, e.Active())
	}
	if how := e.log.wait(t); how != "draining" {
		t.Error(how)
	}
	if _, err := c.Read(make([]byte, 1)); !isReset(err) {
		t.Errorf("the client sees %v", err)
	}
}

// fill sends until nothing more is taken.
func fill(c *net.TCPConn) {
	c.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
	for chunk := make([]byte, 1<<20); ; {
		if _, err := c.Write(chunk); err != nil {
			return
		}
	}
}

// A client that goes while what it sent waits for room is not taken for one that sent it all.
func TestResetWhileFull(t *testing.T) {
	release := make(chan struct{})
	arrived := make(chan error, 1)
	server := serve(t, func(c *net.TCPConn) {
		<-release
		_, err := io.Copy(io.Discard, c)
		arrived <- err
	})
	e := newEdge(t, &routes{plain: &relay.Route{Service: &backend{address: server}}})
	c := e.dial(t)
	fill(c)
	c.SetLinger(0)
	c.Close()
	close(release)
	if err := <-arrived; !isReset(err) {
		t.Errorf("the server sees %v", err)
	}
	if how := e.log.wait(t); how != "client_abort" {
		t.Error(how)
	}
}

// Little is passed on at once beside much.
func TestLittleBesideMuch(t *testing.T) {
	sink := serve(t, func(c *net.TCPConn) {
		first := make([]byte, 1)
		io.ReadFull(c, first)
		if first[0] == 'm' {
			io.Copy(io.Discard, c)
			return
		}
		c.Write(first)
		echo(c)
	})
	e := newEdge(t, &routes{plain: &relay.Route{Service: &backend{address: sink}}})
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		c := e.dial(t)
		wg.Go(func() {
			defer c.Close()
			chunk := bytes.Repeat([]byte{'m'}, 256<<10)
			for {
				select {
				case <-stop:
					return
				default:
					if _, err := c.Write(chunk); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	c := e.dial(t)
	for i := range 300 {
		want := bytes.Repeat([]byte{byte(i)}, 1+i%100)
		c.Write(want)
		got := make([]byte, len(want))
		if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%x instead of %x, %v", got, want, err)
		}
	}
	close(stop)
	wg.Wait()
}
