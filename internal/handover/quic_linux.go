package handover

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/net/ipv4"
)

// QUICConn is a UDP socket that QUIC is spoken on. A successor gets it too; from the moment it is ready it
// alone reads, and passes the packets of older connections on to the process that has them, each of which it
// has a way to. All write.
//
// It reads in batches, as quic-go wants it to.
type QUICConn struct {
	*net.UDPConn
	packets *ipv4.PacketConn
	begin   <-chan struct{} // closed once this process may read
	older   ways            // to the processes before this one
	closed  chan struct{}
	once    sync.Once
	buf     []byte // a packet from another process

	mu       sync.Mutex    // guards what follows
	passed   *net.UnixConn // what newer processes pass on comes here; nil: this process reads the socket itself
	deadline time.Time     // of reading, wherever it is from
}

// ListenQUIC is ListenPacket for a socket that QUIC is spoken on.
func (s *Sockets) ListenQUIC(name, address string, open func() (net.PacketConn, error)) (*QUICConn, error) {
	udp, err := s.listenUDP(name, address, open)
	if err != nil {
		return nil, err
	}
	c := &QUICConn{UDPConn: udp, packets: ipv4.NewPacketConn(udp), closed: make(chan struct{}), buf: make([]byte, maxPassed)}
	if s == nil {
		return c, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c.begin = s.begun
	for k, f := range s.given {
		if k.Network != wayNetwork || k.Address != address {
			continue
		}
		delete(s.given, k)
		err := c.older.add(k.Tag, f)
		f.Close()
		if err != nil {
			c.Close()
			return nil, err
		}
	}
	if s.quic == nil {
		s.quic = map[string]*QUICConn{}
	}
	s.quic[address] = c
	return c, nil
}

// ReadBatch reads packets of this process's connections, at least one, and of new ones.
func (c *QUICConn) ReadBatch(ms []ipv4.Message, flags int) (int, error) {
	if c.begin != nil {
		select {
		case <-c.begin:
		case <-c.closed:
			return 0, net.ErrClosed
		}
	}
	for {
		if from := c.source(); from != nil {
			n, err := c.readPassed(from, ms)
			if err == nil || !c.alone(from, err) {
				return n, err
			}
			continue
		}
		n, err := c.packets.ReadBatch(ms, flags)
		if err != nil {
			if c.source() != nil {
				continue // another process reads from now on
			}
			return n, err
		}
		if n = c.keep(ms[:n]); n > 0 {
			return n, nil
		}
	}
}

// keep moves the packets that are this process's to the front and passes the others on.
func (c *QUICConn) keep(ms []ipv4.Message) int {
	if c.older.none() {
		return len(ms)
	}
	kept := 0
	for i := range ms {
		m := &ms[i]
		if tag, ok := destination(m.Buffers[0][:m.N]); ok && c.older.pass(tag, m) {
			continue
		}
		if i != kept {
			to := &ms[kept]
			to.N, to.NN, to.Flags, to.Addr = copy(to.Buffers[0], m.Buffers[0][:m.N]), copy(to.OOB, m.OOB[:m.NN]), m.Flags, m.Addr
		}
		kept++
	}
	return kept
}

func (c *QUICConn) readPassed(from *net.UnixConn, ms []ipv4.Message) (int, error) {
	n, err := from.Read(c.buf)
	if err != nil {
		return 0, err
	}
	if !parsePassed(c.buf[:n], &ms[0]) {
		return 0, os.ErrClosed // an empty message is the end
	}
	return 1, nil
}

// source is where packets come from, but for the socket itself.
func (c *QUICConn) source() *net.UnixConn {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.passed
}

// giveAway has this process read what newer ones pass on, and nothing else.
func (c *QUICConn) giveAway(from *net.UnixConn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.passed = from
	from.SetReadDeadline(c.deadline)
	c.UDPConn.SetReadDeadline(past)
}

// past is a deadline that has passed.
var past = time.Unix(1, 0)

// alone reports whether all newer processes have ended, and has this one read for itself again.
func (c *QUICConn) alone(from *net.UnixConn, err error) bool {
	select {
	case <-c.closed:
		return false
	default:
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	from.Close()
	c.passed = nil
	c.UDPConn.SetReadDeadline(c.deadline)
	return true
}

// SetReadDeadline is that of the reading, wherever it is from.
func (c *QUICConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	if c.passed != nil {
		return c.passed.SetReadDeadline(t)
	}
	return c.UDPConn.SetReadDeadline(t)
}

// Close closes the socket in this process.
func (c *QUICConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	if from := c.source(); from != nil {
		from.Close()
	}
	c.older.close()
	return c.UDPConn.Close()
}
