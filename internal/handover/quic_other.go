//go:build !linux

package handover

import (
	"net"
	"os"
)

// QUICConn is a UDP socket that QUIC is spoken on. Packets of older connections are lost in a handover.
type QUICConn struct{ *net.UDPConn }

// ListenQUIC is ListenPacket for a socket that QUIC is spoken on.
func (s *Sockets) ListenQUIC(name, address string, open func() (net.PacketConn, error)) (*QUICConn, error) {
	udp, err := s.listenUDP(name, address, open)
	if err != nil {
		return nil, err
	}
	return &QUICConn{udp}, nil
}

type pair struct {
	conn *QUICConn
	near *net.UnixConn
}

func (c *QUICConn) giveAway(*net.UnixConn) {}

func (s *Sockets) pairs() ([]pair, []key, []*os.File, error) { return nil, nil, nil, nil }

func closePairs([]pair) {}
