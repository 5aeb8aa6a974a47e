package hello

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// capture is a net.Conn that keeps what is written to it, and reads what it is given.
type capture struct {
	bytes.Buffer
	in io.Reader
}

func (c *capture) Read(p []byte) (int, error) {
	if c.in == nil {
		return 0, io.EOF
	}
	return c.in.Read(p)
}
func (*capture) Close() error                     { return nil }
func (*capture) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (*capture) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (*capture) SetDeadline(time.Time) error      { return nil }
func (*capture) SetReadDeadline(time.Time) error  { return nil }
func (*capture) SetWriteDeadline(time.Time) error { return nil }

// helloOf is what a client of crypto/tls sends first.
func helloOf(t testing.TB, config *tls.Config) []byte {
	t.Helper()
	c := &capture{}
	if err := tls.Client(c, config).Handshake(); err == nil {
		t.Fatal("a handshake with nobody succeeded")
	}
	return c.Bytes()
}

// stock is what crypto/tls makes of a ClientHello: nil when it refuses it.
func stock(b []byte) *tls.ClientHelloInfo {
	var seen *tls.ClientHelloInfo
	config := &tls.Config{GetConfigForClient: func(info *tls.ClientHelloInfo) (*tls.Config, error) {
		seen = info
		return nil, errors.New("seen")
	}}
	tls.Server(&capture{in: bytes.NewReader(b)}, config).HandshakeContext(context.Background())
	return seen
}

// split cuts the one record of b into records of at most n bytes.
func split(b []byte, n int) (out []byte) {
	for payload := b[recordHeader:]; len(payload) > 0; {
		m := min(n, len(payload))
		out = append(out, Handshake, 3, 1)
		out = binary.BigEndian.AppendUint16(out, uint16(m))
		out = append(out, payload[:m]...)
		payload = payload[m:]
	}
	return out
}

var configs = []*tls.Config{
	{ServerName: "a.example"},
	{ServerName: "A.Example", NextProtos: []string{"h2", "http/1.1"}},
	{InsecureSkipVerify: true},
	{ServerName: "xn--bcher-kva.example", MaxVersion: tls.VersionTLS12, NextProtos: []string{"postgresql"}},
	{ServerName: "192.0.2.1"}, // an address is not sent as a name
}

func TestParse(t *testing.T) {
	for _, config := range configs {
		whole := helloOf(t, config)
		want, err := Parse(whole)
		info := stock(whole)
		if err != nil || info == nil {
			t.Fatalf("%s: %v, %v", config.ServerName, err, info)
		}
		if want.ServerName != strings.ToLower(info.ServerName) || !slices.Equal(want.Protocols, info.SupportedProtos) {
			t.Errorf("%+v, crypto/tls has %q %q", want, info.ServerName, info.SupportedProtos)
		}
		for _, n := range []int{1, 3, 4, 5, 100, 1000} {
			fragments := split(whole, n)
			got, err := Parse(fragments)
			if len(fragments) > MaxSize && err == nil {
				continue
			}
			if err != nil || got.ServerName != want.ServerName || !slices.Equal(got.Protocols, want.Protocols) {
				t.Errorf("in records of %d: %+v, %v", n, got, err)
			}
		}
		for n := range len(whole) {
			if _, err := Parse(whole[:n]); !errors.Is(err, ErrMore) {
				t.Fatalf("%d of %d bytes: %v", n, len(whole), err)
			}
		}
	}
}

// build makes a ClientHello of extensions.
func build(extensions ...[]byte) []byte {
	body := append(make([]byte, 34), 0, 0, 2, 0x13, 0x01, 1, 0)
	body[0], body[1] = 3, 3
	all := bytes.Join(extensions, nil)
	body = binary.BigEndian.AppendUint16(body, uint16(len(all)))
	body = append(body, all...)
	message := append([]byte{clientHello, 0, byte(len(body) >> 8), byte(len(body))}, body...)
	return append([]byte{Handshake, 3, 1, byte(len(message) >> 8), byte(len(message))}, message...)
}

func extension(kind uint16, body ...byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, kind)
	b = binary.BigEndian.AppendUint16(b, uint16(len(body)))
	return append(b, body...)
}

func name(kind byte, text string) []byte {
	return append([]byte{kind, byte(len(text) >> 8), byte(len(text))}, text...)
}

func sni(names ...[]byte) []byte {
	all := bytes.Join(names, nil)
	return extension(serverNameType, append([]byte{byte(len(all) >> 8), byte(len(all))}, all...)...)
}

func TestParseRefuses(t *testing.T) {
	good := build(sni(name(0, "a.example")))
	if h, err := Parse(good); err != nil || h.ServerName != "a.example" {
		t.Fatalf("%+v, %v", h, err)
	}
	if h, err := Parse(build(sni(name(7, "other"), name(0, "A.example")))); err != nil || h.ServerName != "a.example" {
		t.Errorf("a name of another kind: %+v, %v", h, err)
	}
	mutate := func(at int, to byte) []byte {
		b := bytes.Clone(good)
		b[at] = to
		return b
	}
	for what, b := range map[string][]byte{
		"an alert":                 {21, 3, 1, 0, 2, 2, 40},
		"SSL 2":                    {0x80, 0x2e, 1, 3, 1},
		"version 16":               mutate(1, 16),
		"an empty record":          {Handshake, 3, 1, 0, 0},
		"a record too long":        {Handshake, 3, 1, 0x40, 1},
		"another message":          mutate(5, 2),
		"a message too long":       {Handshake, 3, 1, 0, 4, clientHello, 1, 0, 0},
		"a long session id":        mutate(43, 33),
		"no suites":                mutate(45, 0),
		"half a suite":             mutate(45, 1),
		"two server names":         build(sni(name(0, "a.example"), name(0, "b.example"))),
		"the extension twice":      build(sni(name(0, "a.example")), sni(name(0, "a.example"))),
		"an empty name":            build(sni(name(0, ""))),
		"no name in the list":      build(sni()),
		"a NUL in the name":        build(sni(name(0, "a.example\x00.evil"))),
		"a space in the name":      build(sni(name(0, "a example"))),
		"a dot at the end":         build(sni(name(0, "a.example."))),
		"UTF-8":                    build(sni(name(0, "bücher.example"))),
		"something behind the SNI": build(extension(serverNameType, 0, 4, 0, 0, 1, 'a', 'x')),
		"a name cut short":         build(extension(serverNameType, 0, 4, 0, 0, 9, 'a')),
		"an empty protocol":        build(extension(alpnType, 0, 1, 0)),
		"no protocol":              build(extension(alpnType, 0, 0)),
		"an extension cut short":   build([]byte{0, 0, 0, 9, 1}),
		"data behind the message":  append(append([]byte{Handshake, 3, 1, good[3], good[4] + 1}, good[5:]...), 0),
	} {
		if h, err := Parse(b); err == nil || errors.Is(err, ErrMore) {
			t.Errorf("%s: %+v, %v", what, h, err)
		}
	}
}

func TestNoExtensions(t *testing.T) {
	b := build()
	b = b[:len(b)-2]
	b[4] -= 2
	b[8] -= 2
	if h, err := Parse(b); err != nil || h.ServerName != "" {
		t.Errorf("%+v, %v", h, err)
	}
}

// FuzzParse holds the parser against that of crypto/tls: of what both take they see the same, and what
// crypto/tls takes is refused for a reason that is ours alone.
func FuzzParse(f *testing.F) {
	for _, config := range configs {
		whole := helloOf(f, config)
		f.Add(whole)
		f.Add(split(whole, 90))
	}
	f.Add(build(sni(name(0, "a.example")), extension(alpnType, 0, 3, 2, 'h', '2')))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := Parse(b)
		for n := 0; n < len(b); n += len(b)/16 + 1 {
			if _, early := Parse(b[:n]); early != nil && !errors.Is(early, ErrMore) && err == nil {
				t.Fatalf("the first %d bytes are refused and all are not: %v", n, early)
			}
		}
		info := stock(b)
		if info == nil {
			return
		}
		if err != nil {
			if !ours(b, info, err) {
				t.Errorf("crypto/tls takes it: %v", err)
			}
			return
		}
		if !strings.EqualFold(h.ServerName, info.ServerName) || !slices.Equal(h.Protocols, info.SupportedProtos) {
			t.Errorf("%+v, crypto/tls has %q %q", h, info.ServerName, info.SupportedProtos)
		}
	})
}

// ours reports whether what crypto/tls takes is refused for a reason of ours.
func ours(b []byte, info *tls.ClientHelloInfo, err error) bool {
	if err == errFollowed || err == errUnusual || len(b) >= MaxSize {
		return true
	}
	if info.ServerName != "" {
		if _, odd := normalize([]byte(info.ServerName)); odd != nil {
			return true
		}
	}
	for rest := b; len(rest) >= recordHeader; { // crypto/tls skips alerts that are mere warnings
		if rest[0] != Handshake {
			return true
		}
		rest = rest[min(len(rest), recordHeader+int(rest[3])<<8+int(rest[4])):]
	}
	return false
}

// Whatever is refused for a reason of ours alone is something that crypto/tls takes.
func TestStricterThanTheStock(t *testing.T) {
	good := build(sni(name(0, "a.example")))
	at := recordHeader + messageHeader + 2 + 32 // of the session's length
	insert := func(b []byte, at int, by ...byte) []byte {
		b = slices.Insert(slices.Clone(b), at, by...)
		for _, i := range []int{4, 8} { // the last bytes of the lengths of record and message
			b[i] += byte(len(by))
		}
		return b
	}
	long := insert(good, at+1, make([]byte, 33-int(good[at]))...)
	long[at] = 33
	behind := append(slices.Clone(good), 0)
	behind[4]++
	for what, b := range map[string][]byte{
		"a warning before it": append([]byte{21, 3, 1, 0, 2, 1, 90}, good...), "a long session": long,
		"a byte behind it": behind, "an odd name": build(sni(name(0, "a example"))),
	} {
		info := stock(b)
		_, err := Parse(b)
		if info == nil || err == nil || errors.Is(err, ErrMore) || !ours(b, info, err) {
			t.Errorf("%s: crypto/tls has %v, we have %v", what, info != nil, err)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	whole := helloOf(b, configs[1])
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(whole); err != nil {
			b.Fatal(err)
		}
	}
}
