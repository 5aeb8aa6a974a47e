package handover

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net"
)

// Tag is what the identifiers of a process's QUIC connections begin with: packets that come to a socket
// which processes share are told apart by it. RFC 9000 §5.1.
type Tag [4]byte

// MarshalText is how a manifest has it.
func (t Tag) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, t[:]), nil }

// UnmarshalText is the reverse of MarshalText.
func (t *Tag) UnmarshalText(text []byte) error {
	if hex.DecodedLen(len(text)) != len(t) {
		return errors.New("not the tag of a process")
	}
	_, err := hex.Decode(t[:], text)
	return err
}

// Tag is this process's.
func (s *Sockets) Tag() Tag {
	if s == nil {
		s = new(Sockets)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tagLocked()
}

func (s *Sockets) tagLocked() Tag {
	for s.tag == (Tag{}) {
		rand.Read(s.tag[:])
	}
	return s.tag
}

// destination is the connection that a QUIC packet is for, as far as its identifier begins with a Tag.
// RFC 9000 §17.2, §17.3, RFC 8999 §5.
func destination(packet []byte) (t Tag, ok bool) {
	if len(packet) == 0 {
		return t, false
	}
	at := 1
	if packet[0]&0x80 != 0 { // a long header: the version, then the length of the identifier
		if len(packet) < 6 || int(packet[5]) < len(t) {
			return t, false
		}
		at = 6
	}
	return t, copy(t[:], packet[min(at, len(packet)):]) == len(t)
}

// listenUDP is ListenPacket for a socket that has to be one of UDP.
func (s *Sockets) listenUDP(name, address string, open func() (net.PacketConn, error)) (*net.UDPConn, error) {
	pc, err := s.ListenPacket(name, address, open)
	if err != nil {
		return nil, err
	}
	udp, ok := pc.(*net.UDPConn)
	if !ok {
		return nil, errors.New("not a UDP socket")
	}
	return udp, nil
}
