package handover

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"sync"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// ways lead to the processes before this one, by the Tag of each, for as long as it has the socket they
// share. A way is handed on from process to process, so that packets go to where they belong at once, and a
// process may end whether or not there are older ones.
type ways struct {
	mu  sync.Mutex
	to  map[Tag]*net.UnixConn
	buf []byte // a packet that is passed on
}

// add adds the way to a process, until that has ended. The caller closes f.
func (w *ways) add(t Tag, f *os.File) error {
	conn, err := net.FileConn(f)
	if err != nil {
		return err
	}
	way := conn.(*net.UnixConn)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.to == nil {
		w.to, w.buf = map[Tag]*net.UnixConn{}, make([]byte, maxPassed)
	}
	w.to[t] = way
	go func() {
		way.Read(make([]byte, 1)) // nothing comes this way but the end
		way.Close()
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.to, t)
	}()
	return nil
}

func (w *ways) none() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.to) == 0
}

// pass passes a packet on to the process that has its connection. What that has no room for is lost, as
// packets may be. It reports whether there is such a process.
func (w *ways) pass(t Tag, m *ipv4.Message) bool {
	from, ok := m.Addr.(*net.UDPAddr)
	if !ok {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	way := w.to[t]
	if way == nil {
		return false
	}
	return deliver(way, appendPassed(w.buf[:0], from.AddrPort(), m))
}

// deliver sends a message if there is room for it. It reports whether there is somebody at the other end.
func deliver(way *net.UnixConn, b []byte) bool {
	raw, err := way.SyscallConn()
	if err != nil {
		return false
	}
	werr := raw.Write(func(fd uintptr) bool {
		err = unix.Sendto(int(fd), b, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, nil)
		return true
	})
	return werr == nil && (err == nil || err == unix.EAGAIN || err == unix.ENOBUFS)
}

// files duplicates the ways, for a successor. The caller closes them.
func (w *ways) files(address string) (keys []key, files []*os.File, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for t, way := range w.to {
		f, err := way.File()
		if err != nil {
			return keys, files, err
		}
		keys, files = append(keys, key{Network: wayNetwork, Address: address, Tag: t}), append(files, f)
	}
	return keys, files, nil
}

func (w *ways) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, way := range w.to {
		way.Close()
	}
}

// A packet that is passed on: the address of 16 bytes, the port of 2, the length of the control message of 2,
// the control message, the packet.
const (
	passedHead = 16 + 2 + 2
	maxPassed  = passedHead + 512 + 64<<10
)

func appendPassed(b []byte, from netip.AddrPort, m *ipv4.Message) []byte {
	ip := from.Addr().As16()
	b = append(b, ip[:]...)
	b = binary.BigEndian.AppendUint16(b, from.Port())
	b = binary.BigEndian.AppendUint16(b, uint16(m.NN))
	return append(append(b, m.OOB[:m.NN]...), m.Buffers[0][:m.N]...)
}

func parsePassed(b []byte, m *ipv4.Message) bool {
	if len(b) < passedHead {
		return false
	}
	addr := netip.AddrFrom16([16]byte(b[:16])).Unmap()
	port, oob := binary.BigEndian.Uint16(b[16:]), int(binary.BigEndian.Uint16(b[18:]))
	b = b[passedHead:]
	oob = min(oob, len(b))
	m.NN, m.N, m.Flags = copy(m.OOB, b[:oob]), copy(m.Buffers[0], b[oob:]), 0
	m.Addr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, port))
	return true
}

// pair is the way from a successor to a QUICConn.
type pair struct {
	conn *QUICConn
	near *net.UnixConn
}

// pairs makes a way for every QUIC socket: the ends of this process, and those to hand over, with the ways
// to the processes before it.
func (s *Sockets) pairs() (near []pair, keys []key, far []*os.File, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for address, c := range s.quic {
		here, there, err := newPair()
		if err == nil {
			near, far = append(near, pair{c, here}), append(far, there)
			keys = append(keys, key{Network: wayNetwork, Address: address, Tag: s.tagLocked()})
			var moreKeys []key
			var more []*os.File
			moreKeys, more, err = c.older.files(address)
			keys, far = append(keys, moreKeys...), append(far, more...)
		}
		if err != nil {
			closePairs(near)
			return nil, nil, far, err
		}
	}
	return near, keys, far, nil
}

// passedBuffer is how much may be on its way to a process, in bytes: a burst that comes while it has other
// things to do. The system may allow for less.
const passedBuffer = 4 << 20

func newPair() (here *net.UnixConn, there *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	if unix.SetsockoptInt(fds[1], unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, passedBuffer) != nil {
		unix.SetsockoptInt(fds[1], unix.SOL_SOCKET, unix.SO_SNDBUF, passedBuffer)
	}
	f := os.NewFile(uintptr(fds[0]), "passed")
	defer f.Close()
	conn, err := net.FileConn(f)
	if err != nil {
		unix.Close(fds[1])
		return nil, nil, err
	}
	return conn.(*net.UnixConn), os.NewFile(uintptr(fds[1]), "way"), nil
}

func closePairs(list []pair) {
	for _, p := range list {
		p.near.Close()
	}
}
