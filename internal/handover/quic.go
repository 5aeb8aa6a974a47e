package handover

import (
	"crypto/rand"
	"encoding/hex"
)

// Tag is what the identifiers of a process's QUIC connections begin with: packets that come to a socket
// which processes share are told apart by it. RFC 9000 §5.1.
type Tag [4]byte

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

// tags are this process's and those of the processes before it, as a manifest has them.
func (s *Sockets) tags() (list []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range append([]Tag{s.tagLocked()}, s.older...) {
		list = append(list, hex.EncodeToString(t[:]))
	}
	return list
}

// maxOlder is how many processes before this one are remembered: they have ended long before there are
// as many.
const maxOlder = 16

// setOlder takes over the tags of a manifest.
func (s *Sockets) setOlder(list []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, text := range list[:min(len(list), maxOlder)] {
		var t Tag
		if n, err := hex.Decode(t[:], []byte(text)); err == nil && n == len(t) {
			s.older = append(s.older, t)
		}
	}
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
