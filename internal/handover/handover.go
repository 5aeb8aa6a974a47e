// Package handover lets a process start with the listening sockets of the one it replaces, so that a
// restart refuses and loses no connection.
//
// The running process serves a Unix socket (Serve). Its successor connects there (Take), gets the open
// sockets as descriptors, prepares everything, and says that it is ready (Predecessor.Ready). Only then
// does the running process stop accepting and drain. Until that moment nothing has changed for it: a
// successor that fails on the way is gone without a trace. Both accept from the same sockets meanwhile.
//
// Sockets may also come from systemd (Sockets.AddSystemd).
package handover

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
)

// Sockets are the listening sockets of a process: those it was given, and those it opens. It is safe for
// concurrent use. The zero value has been given none; nil opens all.
type Sockets struct {
	mu    sync.Mutex
	given map[key]*os.File      // by a predecessor, and not yet asked for
	named map[string][]*os.File // by systemd, with a name
	bound map[key]*os.File      // by systemd, without: by where they are bound
	open  map[key]filer
	tag   Tag                  // of this process; zero until it is needed
	quic  map[string]*QUICConn // by address
	begun chan struct{}        // closed once the predecessor reads no more; nil without one
	state []byte               // that the predecessor gave
	keep  func() []byte        // the state for a successor; nil for none
}

// key is what a socket was asked for as, not where it is bound: that is the same for ":80" in any process.
type key struct {
	Network string `json:"network"` // "tcp" or "udp"; or wayNetwork
	Address string `json:"address"` // as configured
	Tag     Tag    `json:"tag,omitzero"`
}

// wayNetwork is that of a way to the older process with the Tag, for the QUIC packets of its connections.
const wayNetwork = "quic"

// filer is a socket of package net.
type filer interface{ File() (*os.File, error) }

// Listen returns a stream socket for address: one that was given, else the one that open makes. name is
// what systemd may call it.
func (s *Sockets) Listen(name, address string, open func() (net.Listener, error)) (net.Listener, error) {
	return obtain(s, name, key{Network: "tcp", Address: address}, net.FileListener, open)
}

// ListenPacket is Listen for a datagram socket.
func (s *Sockets) ListenPacket(name, address string, open func() (net.PacketConn, error)) (net.PacketConn, error) {
	return obtain(s, name, key{Network: "udp", Address: address}, net.FilePacketConn, open)
}

func obtain[S any](s *Sockets, name string, k key, from func(*os.File) (S, error), open func() (S, error)) (socket S, err error) {
	if s == nil {
		return open()
	}
	if f := s.claim(name, k); f != nil {
		socket, err = from(f)
		f.Close()
		if err != nil {
			return socket, fmt.Errorf("the socket that was handed over for %s is of no use: %w", k.Address, err)
		}
	} else if socket, err = open(); err != nil {
		return socket, err
	}
	if f, ok := any(socket).(filer); ok {
		s.mu.Lock()
		if s.open == nil {
			s.open = map[key]filer{}
		}
		s.open[k] = f
		s.mu.Unlock()
	}
	return socket, nil
}

// claim takes what was given for k, or by that name.
func (s *Sockets) claim(name string, k key) *os.File {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.given[k]; f != nil {
		delete(s.given, k)
		return f
	}
	for i, f := range s.named[name] {
		if isNetwork(f, k.Network) {
			s.named[name] = append(s.named[name][:i:i], s.named[name][i+1:]...)
			return f
		}
	}
	for _, address := range spellings(k.Address) {
		at := key{Network: k.Network, Address: address}
		if f := s.bound[at]; f != nil {
			delete(s.bound, at)
			return f
		}
	}
	return nil
}

// spellings are the addresses that a socket may be bound to which is configured as address.
func spellings(address string) []string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil
	}
	if host == "" { // of both families, or of IPv4 alone on a system without IPv6
		return []string{net.JoinHostPort("::", port), net.JoinHostPort("0.0.0.0", port)}
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		host = ip.String()
	}
	return []string{net.JoinHostPort(host, port)}
}

// CloseUnused closes what was given and nobody asked for: addresses that the configuration no longer
// has. It returns what they were.
func (s *Sockets) CloseUnused() (addresses []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, f := range s.given {
		if k.Network != wayNetwork {
			addresses = append(addresses, k.Network+" "+k.Address)
		}
		f.Close()
	}
	for k, f := range s.bound {
		addresses = append(addresses, k.Network+" "+k.Address)
		f.Close()
	}
	for name, files := range s.named {
		for _, f := range files {
			addresses = append(addresses, name)
			f.Close()
		}
	}
	s.given, s.named, s.bound = nil, nil, nil
	return addresses
}

// State is what the predecessor said it keeps besides sockets; nil without one, or if it keeps nothing.
func (s *Sockets) State() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// KeepState has each successor given what state returns when it asks for the sockets: a few kilobytes at
// most, which may be secret. They are seen by the two processes and the kernel alone.
func (s *Sockets) KeepState(state func() []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keep = state
}

// kept is the state for a successor.
func (s *Sockets) kept() []byte {
	s.mu.Lock()
	keep := s.keep
	s.mu.Unlock()
	if keep == nil {
		return nil
	}
	return keep()
}

// files duplicates the open sockets. The caller closes them.
func (s *Sockets) files() (keys []key, files []*os.File, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, socket := range s.open {
		f, err := socket.File()
		if errors.Is(err, net.ErrClosed) {
			continue
		}
		if err != nil {
			for _, f := range files {
				f.Close()
			}
			return nil, nil, fmt.Errorf("%s %s: %w", k.Network, k.Address, err)
		}
		keys, files = append(keys, k), append(files, f)
	}
	return keys, files, nil
}
