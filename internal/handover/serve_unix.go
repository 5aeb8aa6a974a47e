//go:build unix

package handover

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Server hands the sockets of this process to its successor.
type Server struct {
	ln      *net.UnixListener
	sockets *Sockets
	logger  *slog.Logger
	stop    func()
	wg      sync.WaitGroup

	named chan struct{} // closed once a successor has the name

	mu       sync.Mutex
	replaced bool // stop was called
}

// Serve serves path, which it replaces: a predecessor's socket, or one left by a process that was
// killed. When a successor is ready, stop is called; it must have stopped accepting when it returns,
// and is called once at most.
func Serve(path string, s *Sockets, logger *slog.Logger, stop func()) (*Server, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	if err := mayReplace(path); err != nil {
		return nil, err
	}
	// Bound under another name and renamed over path, so that there is a server at path at every moment.
	fresh := fmt.Sprintf("%s.%d", path, os.Getpid())
	os.Remove(fresh)
	ln, err := listenPrivate(fresh)
	if err != nil {
		return nil, err
	}
	if err := os.Rename(fresh, path); err != nil {
		ln.Close()
		os.Remove(fresh)
		return nil, err
	}
	v := &Server{ln: ln, sockets: s, logger: logger, stop: stop, named: make(chan struct{})}
	v.wg.Go(v.accept)
	return v, nil
}

// listenPrivate binds a socket that nobody else may connect to.
func listenPrivate(path string) (*net.UnixListener, error) {
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	ln.SetUnlinkOnClose(false) // by then the name may be a successor's
	if err := os.Chmod(path, 0o600); err != nil {
		ln.Close()
		os.Remove(path)
		return nil, err
	}
	return ln, nil
}

// Close ends the service, after a successor that is ready has taken its name. The name stays.
func (v *Server) Close() error {
	if v.isReplaced() {
		<-v.named
	}
	err := v.ln.Close()
	v.wg.Wait()
	return err
}

func (v *Server) accept() {
	for {
		c, err := v.ln.AcceptUnix()
		if err != nil {
			return
		}
		v.wg.Go(func() { // one successor that hangs must not stand in the way of another
			defer c.Close()
			if err := v.hand(c); err != nil {
				v.logger.Warn("a handover of the sockets was not completed; serving on", "error", err)
			}
		})
	}
}

// startup is how long a successor may take from getting the sockets to being ready.
const startup = 5 * time.Minute

func (v *Server) hand(c *net.UnixConn) error {
	if err := samePerson(c); err != nil {
		return err
	}
	c.SetDeadline(time.Now().Add(patience))
	in := bufio.NewReader(c)
	if line, err := in.ReadString('\n'); err != nil || line != greeting {
		return fmt.Errorf("no greeting: %.40q", line)
	}
	if v.isReplaced() {
		return nil // the successor has the name by now, or will at once
	}
	keys, files, err := v.sockets.files()
	if err != nil {
		return err
	}
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	near, more, far, err := v.sockets.pairs()
	keys, files = append(keys, more...), append(files, far...)
	if err != nil {
		return err
	}
	given := false
	defer func() {
		if !given {
			closePairs(near)
		}
	}()
	m, err := json.Marshal(manifest{PID: os.Getpid(), Sockets: keys, State: v.sockets.kept()})
	if err != nil {
		return err
	}
	if _, err := c.Write(append(m, '\n')); err != nil {
		return err
	}
	if err := send(c, files); err != nil {
		return err
	}
	v.logger.Info("sockets handed to a successor", "sockets", len(files))
	c.SetDeadline(time.Now().Add(startup))
	if line, err := in.ReadString('\n'); err != nil || line != ready {
		return fmt.Errorf("the successor did not get ready: %w", orEOF(err))
	}
	c.SetDeadline(time.Now().Add(patience))
	if given = v.replace(near); !given {
		_, err = io.WriteString(c, late)
		return err
	}
	if _, err = io.WriteString(c, draining); err == nil {
		in.ReadByte() // it closes the connection once it has the name
	}
	close(v.named)
	return err
}

func (v *Server) isReplaced() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.replaced
}

// replace calls stop, for the first successor that is ready.
func (v *Server) replace(near []pair) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.replaced {
		return false
	}
	v.replaced = true
	for _, p := range near {
		p.conn.giveAway(p.near)
	}
	v.stop()
	return true
}

func orEOF(err error) error {
	if err == nil {
		return io.ErrUnexpectedEOF
	}
	return err
}

// send writes the descriptors. File.Fd would make the sockets, which both processes share, blocking.
func send(c *net.UnixConn, files []*os.File) error {
	for len(files) > 0 {
		some := files[:min(len(files), perMessage)]
		files = files[len(some):]
		var fds []int
		for _, f := range some {
			raw, err := f.SyscallConn()
			if err != nil {
				return err
			}
			if err := raw.Control(func(fd uintptr) { fds = append(fds, int(fd)) }); err != nil {
				return err
			}
		}
		if _, _, err := c.WriteMsgUnix([]byte{0}, unix.UnixRights(fds...), nil); err != nil {
			return err
		}
	}
	return nil
}
