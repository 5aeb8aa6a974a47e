//go:build unix

package handover

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// firstPassed is the first descriptor that systemd passes: sd_listen_fds(3).
const firstPassed = 3

// AddSystemd adds the sockets that systemd has passed to this process, by socket activation. They are
// found by the name of FileDescriptorName= , which is then the name of an entry point; without one by
// the address they are bound to. The variables that tell of them are removed from the environment.
func (s *Sockets) AddSystemd() error {
	pid, count, names := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS"), os.Getenv("LISTEN_FDNAMES")
	for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		os.Unsetenv(name)
	}
	if pid != strconv.Itoa(os.Getpid()) {
		return nil // they are another process's
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 {
		return fmt.Errorf("LISTEN_FDS is %q, not a number", count)
	}
	name := strings.Split(names, ":")
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range n {
		fd := firstPassed + i
		unix.CloseOnExec(fd)
		f := os.NewFile(uintptr(fd), "systemd")
		if i < len(name) && name[i] != "" && name[i] != "unknown" && !strings.HasSuffix(name[i], ".socket") {
			if s.named == nil {
				s.named = map[string][]*os.File{}
			}
			s.named[name[i]] = append(s.named[name[i]], f)
			continue
		}
		k, err := bound(f)
		if err != nil {
			f.Close()
			return fmt.Errorf("socket %d of LISTEN_FDS: %w", i+1, err)
		}
		if s.bound == nil {
			s.bound = map[key]*os.File{}
		}
		s.bound[k] = f
	}
	return nil
}

// bound is where a socket is bound.
func bound(f *os.File) (key, error) {
	k, address := key{Network: "tcp"}, net.Addr(nil)
	if isNetwork(f, "tcp") {
		ln, err := net.FileListener(f)
		if err != nil {
			return k, err
		}
		address = ln.Addr()
		ln.Close()
	} else {
		c, err := net.FilePacketConn(f)
		if err != nil {
			return k, err
		}
		k.Network, address = "udp", c.LocalAddr()
		c.Close()
	}
	k.Address = address.String()
	return k, nil
}

// Notify tells the service manager, if there is one, how the process fares, such as "READY=1":
// sd_notify(3).
func Notify(states ...string) error {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Write([]byte(strings.Join(states, "\n")))
	return err
}
