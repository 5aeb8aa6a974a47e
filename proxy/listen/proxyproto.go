package listen

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
)

// ProxyHeader is what a PROXY protocol header says of the connection that a load balancer passes on.
// https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt
type ProxyHeader struct {
	// Source and Destination are the ends of the client's connection, IPv4 never mapped into IPv6. Both
	// are zero when the header names none, or none we know (LOCAL, UNKNOWN, UNIX): then those of the
	// connection itself stand.
	Source, Destination netip.AddrPort
	// Local says that the sender speaks for itself: a health check.
	Local bool
}

// Limits of a header, in bytes. The specification promises that any fits the smallest TCP segment.
const (
	maxProxyV1 = 107
	maxProxyV2 = 536
)

// What is wrong with a header. Every error of this file wraps one of the two.
var (
	ErrNoProxyHeader  = errors.New("the connection does not begin with a PROXY protocol header")
	ErrBadProxyHeader = errors.New("malformed PROXY protocol header")
)

// ReadProxy reads the header at the beginning of a connection, and nothing but what comes with it: rest
// is what was read behind the header. The caller bounds the time. A connection that ends first is
// io.ErrUnexpectedEOF.
func ReadProxy(r io.Reader) (h ProxyHeader, rest []byte, err error) {
	buf := make([]byte, 0, maxProxyV2)
	for {
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		h, size, bad := ParseProxy(buf)
		switch {
		case bad != nil:
			return ProxyHeader{}, nil, bad
		case size > 0:
			return h, buf[size:], nil
		case err == io.EOF:
			return ProxyHeader{}, nil, io.ErrUnexpectedEOF
		case err != nil:
			return ProxyHeader{}, nil, err
		}
	}
}

var (
	proxyV1 = []byte("PROXY ")
	proxyV2 = []byte("\r\n\r\n\x00\r\nQUIT\n")
)

// ParseProxy parses the header at the beginning of buf and returns its size in bytes; 0 when some of it
// has yet to arrive. What cannot become a header is an error as soon as that can be told.
func ParseProxy(buf []byte) (h ProxyHeader, size int, err error) {
	switch {
	case begins(buf, proxyV1):
		return parseProxyV1(buf)
	case begins(buf, proxyV2):
		return parseProxyV2(buf)
	}
	return h, 0, ErrNoProxyHeader
}

// begins reports whether buf begins with prefix, as far as both go.
func begins(buf, prefix []byte) bool {
	n := min(len(buf), len(prefix))
	return bytes.Equal(buf[:n], prefix[:n])
}

func badProxy(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrBadProxyHeader}, args...)...)
}

// parseProxyV1 parses "PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n". Section 2.1.
func parseProxyV1(buf []byte) (h ProxyHeader, size int, err error) {
	line := buf[:min(len(buf), maxProxyV1)]
	end := bytes.IndexByte(line, '\n')
	switch {
	case end < 0 && len(line) == maxProxyV1:
		return h, 0, badProxy("no end of line in %d bytes", maxProxyV1)
	case end < 0:
		return h, 0, nil
	case line[end-1] != '\r':
		return h, 0, badProxy("the line ends in LF without CR")
	}
	word := bytes.Split(line[len(proxyV1):end-1], []byte(" "))
	switch family := string(word[0]); {
	case family == "UNKNOWN":
		return h, end + 1, nil
	case family != "TCP4" && family != "TCP6":
		return h, 0, badProxy("unknown protocol %q", family)
	case len(word) != 5:
		return h, 0, badProxy("%d fields instead of 5", len(word))
	}
	v6 := string(word[0]) == "TCP6"
	if h.Source, err = textAddrPort(word[1], word[3], v6); err == nil {
		h.Destination, err = textAddrPort(word[2], word[4], v6)
	}
	if err != nil {
		return ProxyHeader{}, 0, err
	}
	return h, end + 1, nil
}

func textAddrPort(addr, port []byte, v6 bool) (netip.AddrPort, error) {
	a, err := netip.ParseAddr(string(addr))
	if err != nil || a.Is6() != v6 || a.Zone() != "" {
		return netip.AddrPort{}, badProxy("%q is no address of its family", addr)
	}
	n, err := strconv.ParseUint(string(port), 10, 16)
	if err != nil || port[0] == '+' || port[0] == '0' && len(port) > 1 {
		return netip.AddrPort{}, badProxy("%q is no port", port)
	}
	return netip.AddrPortFrom(a.Unmap(), uint16(n)), nil
}

// The fixed part of version 2: signature, version and command, family and transport, length.
const proxyV2Fixed = 16

// parseProxyV2 parses the binary header. Section 2.2.
func parseProxyV2(buf []byte) (h ProxyHeader, size int, err error) {
	if len(buf) > 12 && buf[12]>>4 != 2 {
		return h, 0, badProxy("version %d", buf[12]>>4)
	}
	if len(buf) < proxyV2Fixed {
		return h, 0, nil
	}
	command, family, transport := buf[12]&15, buf[13]>>4, buf[13]&15
	length := int(binary.BigEndian.Uint16(buf[14:]))
	size = proxyV2Fixed + length
	switch {
	case command > 1:
		return h, 0, badProxy("unknown command %d", command)
	case command == 1 && (family > 3 || transport > 2):
		return h, 0, badProxy("unknown family %d or transport %d", family, transport)
	case size > maxProxyV2:
		return h, 0, badProxy("%d bytes, more than %d", size, maxProxyV2)
	case len(buf) < size:
		return h, 0, nil
	}
	if command == 0 { // what follows is to be discarded, the family ignored
		return ProxyHeader{Local: true}, size, nil
	}
	h, used, err := proxyV2Addresses(buf[proxyV2Fixed:size], family)
	if err == nil && family != 0 {
		err = checkTLVs(buf[proxyV2Fixed+used : size])
	}
	if err != nil {
		return ProxyHeader{}, 0, err
	}
	if transport == 0 {
		h.Source, h.Destination = netip.AddrPort{}, netip.AddrPort{}
	}
	return h, size, nil
}

// proxyV2Addresses reads the two addresses and ports that p begins with, and how long they are.
func proxyV2Addresses(p []byte, family byte) (h ProxyHeader, used int, err error) {
	const unix = 216 // two paths of 108 bytes
	width := [...]int{0, 4, 16, 0}[family]
	used = [...]int{0, 2 * (4 + 2), 2 * (16 + 2), unix}[family]
	if len(p) < used {
		return h, 0, badProxy("%d bytes are too short for the addresses of family %d", len(p), family)
	}
	if width > 0 {
		h.Source = binaryAddrPort(p[:width], p[2*width:])
		h.Destination = binaryAddrPort(p[width:2*width], p[2*width+2:])
	}
	return h, used, nil
}

func binaryAddrPort(addr, port []byte) netip.AddrPort {
	a, _ := netip.AddrFromSlice(addr)
	return netip.AddrPortFrom(a.Unmap(), binary.BigEndian.Uint16(port))
}

// checkTLVs walks the type-length-value records behind the addresses: nothing in them is used, but one
// that reaches beyond the header is no header.
func checkTLVs(p []byte) error {
	for len(p) > 0 {
		if len(p) < 3 {
			return badProxy("a record is cut short")
		}
		n := 3 + int(binary.BigEndian.Uint16(p[1:]))
		if n > len(p) {
			return badProxy("a record of type %#02x reaches beyond the header", p[0])
		}
		p = p[n:]
	}
	return nil
}
