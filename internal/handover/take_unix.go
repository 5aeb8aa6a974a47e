//go:build unix

package handover

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The lines of the protocol. The manifest follows the greeting: a line of JSON that announces as many
// descriptors as follow, at most perMessage with each byte of a run of zeros.
const (
	greeting = "pergola handover 1\n"
	ready    = "ready\n"
	draining = "draining\n"
	late     = "late\n" // another successor was ready before
)

// perMessage is how many descriptors one message carries; Linux allows 253.
const perMessage = 128

// patience is how long each step of the other process may take that needs no work of it.
const patience = 10 * time.Second

// manifest is what the running process tells of itself.
type manifest struct {
	PID     int    `json:"pid"`
	Sockets []key  `json:"sockets"`
	State   []byte `json:"state,omitempty"`
}

// Predecessor is the process whose sockets were taken. It serves on until Ready.
type Predecessor struct {
	PID   int
	conn  *net.UnixConn
	in    *bufio.Reader
	begun chan struct{}
}

// Take fetches the sockets of the process that serves path into s. There being none is no error: both
// results are nil then.
func Take(path string, s *Sockets) (*Predecessor, error) {
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		p, err := try(path, s)
		if errors.Is(err, errReplaced) && time.Now().Before(end) {
			continue // a successor of it is about to take the name over
		}
		return p, err
	}
}

// errReplaced is a process at the path that has been replaced already.
var errReplaced = errors.New("it has been replaced already")

func try(path string, s *Sockets) (*Predecessor, error) {
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, mayReplace(path)
	}
	if err != nil {
		return nil, err
	}
	p, err := take(c, s)
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("taking over from the process at %s: %w", path, err)
	}
	return p, nil
}

// mayReplace refuses to serve at path when something is there that is not a socket: it would be lost.
func mayReplace(path string) error {
	info, err := os.Lstat(path)
	if err == nil && info.Mode().Type() != os.ModeSocket {
		return fmt.Errorf("%s exists and is not a socket: name a path of its own, such as /run/pergola/restart.sock", path)
	}
	return nil
}

func take(c *net.UnixConn, s *Sockets) (*Predecessor, error) {
	if err := samePerson(c); err != nil {
		return nil, err
	}
	c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, greeting); err != nil {
		return nil, err
	}
	line, err := readLine(c)
	if err == io.EOF {
		return nil, errReplaced
	}
	if err != nil {
		return nil, err
	}
	var m manifest
	if err := json.Unmarshal(line, &m); err != nil {
		return nil, fmt.Errorf("not understood: %.80q", line)
	}
	files, err := receive(c, len(m.Sockets))
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	if s.given == nil {
		s.given = map[key]*os.File{}
	}
	for i, k := range m.Sockets {
		s.given[k] = files[i]
	}
	s.begun, s.state = make(chan struct{}), m.State
	s.mu.Unlock()
	c.SetDeadline(time.Time{})
	return &Predecessor{PID: m.PID, conn: c, in: bufio.NewReader(c), begun: s.begun}, nil
}

// ErrLate is a successor that another has been faster than.
var ErrLate = errors.New("another process has taken over meanwhile")

// Ready has the predecessor stop accepting. It returns once it has stopped. Serve the path next, and then
// call Done.
func (p *Predecessor) Ready() error {
	defer close(p.begun) // whatever happens: somebody must read
	p.conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(p.conn, ready); err != nil {
		return err
	}
	line, err := p.in.ReadString('\n')
	switch {
	case err != nil:
	case line == late:
		err = ErrLate
	case line != draining:
		err = fmt.Errorf("answered %.40q", line)
	}
	return err
}

// Done lets the predecessor end, after Ready; before it, lets it go on as if nothing had been.
func (p *Predecessor) Done() { p.conn.Close() }

// readLine reads a line and not a byte more: descriptors come with what follows.
func readLine(r io.Reader) ([]byte, error) {
	var line []byte
	var b [1]byte
	for {
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return nil, err
		}
		if b[0] == '\n' {
			return line, nil
		}
		if line = append(line, b[0]); len(line) > 1<<20 {
			return nil, errors.New("a line without end")
		}
	}
}

// receive reads n descriptors.
func receive(c *net.UnixConn, n int) (files []*os.File, err error) {
	defer func() {
		if err != nil {
			for _, f := range files {
				f.Close()
			}
		}
	}()
	oob := make([]byte, unix.CmsgSpace(4*perMessage))
	for len(files) < n {
		var b [1]byte
		_, oobn, _, _, err := c.ReadMsgUnix(b[:], oob)
		if err != nil {
			return files, err
		}
		messages, err := unix.ParseSocketControlMessage(oob[:oobn])
		if err != nil {
			return files, err
		}
		got := 0
		for _, m := range messages {
			fds, err := unix.ParseUnixRights(&m)
			if err != nil {
				continue
			}
			for _, fd := range fds {
				unix.CloseOnExec(fd)
				files = append(files, os.NewFile(uintptr(fd), "handed over"))
				got++
			}
		}
		if got == 0 {
			return files, errors.New("fewer sockets came than were announced")
		}
	}
	if len(files) > n {
		return files, errors.New("more sockets came than were announced")
	}
	return files, nil
}

// samePerson refuses a peer that runs as somebody else, other than root: who may bind there could hand
// over sockets of his own.
func samePerson(c *net.UnixConn) error {
	uid, err := peerUID(c)
	if err != nil {
		return err
	}
	if uid != 0 && uid != os.Geteuid() {
		return fmt.Errorf("the other process belongs to user %d, this one to %d", uid, os.Geteuid())
	}
	return nil
}
