package listen

import (
	"encoding/binary"
	"net/netip"
	"strconv"
)

// AppendProxy appends the header that announces a connection from source to destination, in version 1
// or 2. Addresses of different families, or none, are announced as unknown: the receiver then goes by
// the connection that it sees.
func AppendProxy(b []byte, version int, source, destination netip.AddrPort) []byte {
	if version == 1 {
		return appendProxyV1(b, source, destination)
	}
	return appendProxyV2(b, source, destination)
}

// family is 4 or 6; 0 when the two do not go together. IPv4 in IPv6 counts as IPv4.
func family(source, destination netip.AddrPort) (s, d netip.Addr, bits int) {
	s, d = source.Addr().Unmap().WithZone(""), destination.Addr().Unmap().WithZone("")
	switch {
	case s.Is4() && d.Is4():
		return s, d, 4
	case s.IsValid() && d.IsValid(): // a mixed pair is announced as IPv6, as IPv4 can be written so
		return netip.AddrFrom16(s.As16()), netip.AddrFrom16(d.As16()), 6
	}
	return s, d, 0
}

func appendProxyV1(b []byte, source, destination netip.AddrPort) []byte {
	s, d, version := family(source, destination)
	if version == 0 {
		return append(b, "PROXY UNKNOWN\r\n"...)
	}
	b = append(b, "PROXY TCP"...)
	b = strconv.AppendInt(b, int64(version), 10)
	b = s.AppendTo(append(b, ' '))
	b = d.AppendTo(append(b, ' '))
	b = strconv.AppendUint(append(b, ' '), uint64(source.Port()), 10)
	b = strconv.AppendUint(append(b, ' '), uint64(destination.Port()), 10)
	return append(b, "\r\n"...)
}

func appendProxyV2(b []byte, source, destination netip.AddrPort) []byte {
	const proxyCommand, unspecified, tcp4, tcp6 = 0x21, 0x00, 0x11, 0x21
	s, d, version := family(source, destination)
	b = append(b, proxyV2...)
	b = append(b, proxyCommand)
	switch version {
	case 0:
		return append(b, unspecified, 0, 0)
	case 4:
		b = append(b, tcp4, 0, 12)
	default:
		b = append(b, tcp6, 0, 36)
	}
	b = append(append(b, s.AsSlice()...), d.AsSlice()...)
	b = binary.BigEndian.AppendUint16(b, source.Port())
	return binary.BigEndian.AppendUint16(b, destination.Port())
}
