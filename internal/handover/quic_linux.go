package handover

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// QUICConn is a UDP socket that QUIC is spoken on. A successor gets it too; from the moment it is ready it
// alone reads, and passes the packets of older connections on to the process that has them. All write.
//
// It reads in batches, as quic-go wants it to.
type QUICConn struct {
	*net.UDPConn
	packets *ipv4.PacketConn
	begin   <-chan struct{} // closed once this process may read
	older   []Tag
	back    *net.UnixConn // to the process before this one; nil for none

	forwarded atomic.Pointer[net.UnixConn] // from the process after this one, once it reads
	closed    chan struct{}
	once      sync.Once
	buf       []byte // a packet that goes from process to process
}

// ListenQUIC is ListenPacket for a socket that QUIC is spoken on.
func (s *Sockets) ListenQUIC(name, address string, open func() (net.PacketConn, error)) (*QUICConn, error) {
	pc, err := s.ListenPacket(name, address, open)
	if err != nil {
		return nil, err
	}
	udp, ok := pc.(*net.UDPConn)
	if !ok {
		return nil, errors.New("not a UDP socket")
	}
	c := &QUICConn{UDPConn: udp, packets: ipv4.NewPacketConn(udp), closed: make(chan struct{}), buf: make([]byte, maxForwarded)}
	if s == nil {
		return c, nil
	}
	k := key{quicNetwork, address}
	if f := s.claim("", k); f != nil {
		back, err := net.FileConn(f)
		f.Close()
		if err != nil {
			udp.Close()
			return nil, err
		}
		c.back = back.(*net.UnixConn)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c.begin, c.older = s.begun, slices.Clone(s.older)
	if s.quic == nil {
		s.quic = map[key]*QUICConn{}
	}
	s.quic[k] = c
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
		if from := c.forwarded.Load(); from != nil {
			n, err := c.readForwarded(from, ms)
			if err == nil {
				if n = c.keep(ms[:n]); n > 0 {
					return n, nil
				}
			} else if !c.gone(from, err) {
				return n, err
			}
			continue
		}
		n, err := c.packets.ReadBatch(ms, flags)
		if err != nil {
			if c.forwarded.Load() != nil {
				continue // another process reads from now on
			}
			return n, err
		}
		if n = c.keep(ms[:n]); n > 0 {
			return n, nil
		}
	}
}

// keep moves the packets that are this process's to the front and forwards the others.
func (c *QUICConn) keep(ms []ipv4.Message) int {
	if c.back == nil {
		return len(ms)
	}
	kept := 0
	for i := range ms {
		m := &ms[i]
		if tag, ok := destination(m.Buffers[0][:m.N]); ok && slices.Contains(c.older, tag) && c.forward(m) {
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

// A forwarded packet: the address of 16 bytes, the port of 2, the length of the control message of 2, the
// control message, the packet.
const (
	forwardHead  = 16 + 2 + 2
	maxForwarded = forwardHead + 512 + 64<<10
)

// forward passes a packet to the process before this one. What that has no room for is lost, as packets
// may be. It reports whether there is such a process still.
func (c *QUICConn) forward(m *ipv4.Message) bool {
	from, ok := m.Addr.(*net.UDPAddr)
	if !ok {
		return false
	}
	b := c.buf[:0]
	ip := from.AddrPort().Addr().As16()
	b = append(b, ip[:]...)
	b = binary.BigEndian.AppendUint16(b, uint16(from.Port))
	b = binary.BigEndian.AppendUint16(b, uint16(m.NN))
	b = append(append(b, m.OOB[:m.NN]...), m.Buffers[0][:m.N]...)
	raw, err := c.back.SyscallConn()
	return err == nil && sendOn(raw, b) == nil
}

func (c *QUICConn) readForwarded(from *net.UnixConn, ms []ipv4.Message) (int, error) {
	n, err := from.Read(c.buf)
	if err != nil {
		return 0, err
	}
	b := c.buf[:n]
	if len(b) < forwardHead {
		return 0, os.ErrClosed // seqpacket: an empty message is the end
	}
	addr := netip.AddrFrom16([16]byte(b[:16])).Unmap()
	port, oob := binary.BigEndian.Uint16(b[16:]), int(binary.BigEndian.Uint16(b[18:]))
	b = b[forwardHead:]
	m := &ms[0]
	oob = min(oob, len(b))
	m.NN, m.N, m.Flags = copy(m.OOB, b[:oob]), copy(m.Buffers[0], b[oob:]), 0
	m.Addr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, port))
	return 1, nil
}

// gone reports whether the process after this one has ended, and has this one read for itself again.
func (c *QUICConn) gone(from *net.UnixConn, err error) bool {
	select {
	case <-c.closed:
		return false
	default:
	}
	if errors.Is(err, os.ErrDeadlineExceeded) || !c.forwarded.CompareAndSwap(from, nil) {
		return false
	}
	from.Close()
	c.UDPConn.SetReadDeadline(time.Time{})
	return true
}

// giveAway has this process read what its successor sends on from, and nothing else.
func (c *QUICConn) giveAway(from *net.UnixConn) {
	c.forwarded.Store(from)
	c.UDPConn.SetReadDeadline(time.Unix(1, 0))
}

// Relay is for a process that has ended its own connections: it goes on passing packets from the process
// after it to those before it, until the one before it has ended, or ctx. Without it the way between them
// would be cut, and the older one would take the socket's packets from the newest. Nobody may be reading.
func (c *QUICConn) Relay(ctx context.Context) {
	from := c.forwarded.Load()
	if from == nil || c.back == nil {
		return
	}
	from.SetReadDeadline(time.Time{})
	end := func() { from.SetReadDeadline(time.Unix(1, 0)) }
	defer context.AfterFunc(ctx, end)()
	go func() {
		c.back.Read(make([]byte, 1)) // nothing comes this way but the end
		end()
	}()
	raw, err := c.back.SyscallConn()
	for err == nil {
		var n int
		if n, err = from.Read(c.buf); err != nil || n < forwardHead {
			return
		}
		b := c.buf[:n]
		packet := b[min(forwardHead+int(binary.BigEndian.Uint16(b[18:])), n):]
		if tag, ok := destination(packet); ok && slices.Contains(c.older, tag) {
			err = sendOn(raw, b)
		}
	}
}

// sendOn sends a message to a neighbour, if there is room for it. It fails when there is no such process.
func sendOn(raw syscall.RawConn, b []byte) error {
	var err error
	werr := raw.Write(func(fd uintptr) bool {
		err = unix.Sendto(int(fd), b, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, nil)
		return true
	})
	if werr != nil || errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.ENOBUFS) {
		return werr
	}
	return err
}

// SetReadDeadline is that of the reading, wherever it is from.
func (c *QUICConn) SetReadDeadline(t time.Time) error {
	if from := c.forwarded.Load(); from != nil {
		return from.SetReadDeadline(t)
	}
	return c.UDPConn.SetReadDeadline(t)
}

// Close closes the socket in this process.
func (c *QUICConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	if from := c.forwarded.Load(); from != nil {
		from.Close()
	}
	if c.back != nil {
		c.back.Close()
	}
	return c.UDPConn.Close()
}

// pair is the way from a successor to a QUICConn.
type pair struct {
	conn *QUICConn
	near *net.UnixConn
}

// pairs makes a way for every QUIC socket: the ends of this process, and those to hand over.
func (s *Sockets) pairs() (near []pair, keys []key, far []*os.File, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, c := range s.quic {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			closePairs(near)
			return nil, nil, far, err
		}
		f := os.NewFile(uintptr(fds[0]), "quic")
		here, err := net.FileConn(f)
		f.Close()
		far = append(far, os.NewFile(uintptr(fds[1]), "quic"))
		if err != nil {
			closePairs(near)
			return nil, nil, far, err
		}
		near, keys = append(near, pair{c, here.(*net.UnixConn)}), append(keys, k)
	}
	return near, keys, far, nil
}

func closePairs(list []pair) {
	for _, p := range list {
		p.near.Close()
	}
}
