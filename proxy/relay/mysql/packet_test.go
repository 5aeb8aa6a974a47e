package mysql

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

// greetingOf writes a server's greeting.
func greetingOf(version string, c Capabilities, scramble, plugin string) []byte {
	b := appendText([]byte{protocolVersion}, version)
	b = append(b, 7, 0, 0, 0)
	b = append(append(b, scramble[:8]...), 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(c))
	b = append(b, 8, 2, 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(c>>16))
	size := byte(0)
	if c.has(PluginAuth) {
		size = scrambleSize + 1
	}
	b = append(append(b, size), make([]byte, 10)...)
	b = append(append(b, scramble[8:]...), 0)
	if c.has(PluginAuth) {
		b = appendText(b, plugin)
	}
	return b
}

const aScramble = "12345678abcdefghijkl"

func TestGreetings(t *testing.T) {
	packet := NewGreeting("8.0.40", true)
	size, sequence := Header(packet)
	if size != len(packet)-HeaderSize || sequence != 0 {
		t.Fatalf("a header of %d bytes, number %d", size, sequence)
	}
	own, err := ParseGreeting(packet[HeaderSize:])
	if err != nil {
		t.Fatal(err)
	}
	if own.Version != "8.0.40" || own.Capabilities != Offered|SSL || own.Plugin != CachingSHA2Password || slices.Contains(own.Scramble, 0) {
		t.Errorf("we greet with %+v", own)
	}
	if again, _ := ParseGreeting(NewGreeting("8.0.40", false)[HeaderSize:]); bytes.Equal(own.Scramble, again.Scramble) || again.Capabilities != Offered {
		t.Errorf("and again with %+v", again)
	}

	modern := greetingOf("8.4.0", Offered|SSL, aScramble, CachingSHA2Password)
	old := greetingOf("5.1.73", Offered&^PluginAuth, aScramble, "")
	for name, tt := range map[string]struct {
		payload []byte
		err     string
		plugin  string
	}{
		"modern":                  {modern, "", CachingSHA2Password},
		"no zero at the end":      {modern[:len(modern)-1], "", CachingSHA2Password},
		"no plugins":              {old, "", ""},
		"too short":               {modern[:30], "ends too early", ""},
		"nothing":                 {nil, "version 0", ""},
		"another version":         {[]byte("\x09 5.0"), "version 9", ""},
		"before 4.1":              {greetingOf("4.0", 0, aScramble, ""), "before version 4.1", ""},
		"an error":                {(&Error{Code: 1040, Message: "Too many connections"}).Append(nil), "ERROR 1040 (): Too many connections", ""},
		"an error with a state":   {(&Error{1129, "HY000", "Host is blocked"}).Append(nil), "ERROR 1129 (HY000): Host is blocked", ""},
		"an error without a code": {[]byte{errorPacket, 1}, "ends too early", ""},
	} {
		g, err := ParseGreeting(tt.payload)
		switch {
		case tt.err != "":
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s: %v", name, err)
			}
		case err != nil || string(g.Scramble) != aScramble || g.Plugin != tt.plugin:
			t.Errorf("%s: %+v, %v", name, g, err)
		}
	}
}

func TestLogins(t *testing.T) {
	all := Offered | SSL
	for name, tt := range map[string]struct {
		login Login
		same  bool // it is written as it was
	}{
		"everything":      {Login{all, 1 << 24, 45, []byte("jane"), []byte("proof"), []byte("db"), []byte("plugin"), []byte("\x01a\x01b")}, true},
		"a long proof":    {Login{all, 0, 8, []byte("jane"), bytes.Repeat([]byte{1}, 300), []byte("db"), []byte("plugin"), nil}, true},
		"long attributes": {Login{all, 0, 8, nil, nil, nil, nil, bytes.Repeat([]byte{1}, 1<<16)}, true},
		"a short proof":   {Login{all &^ PluginAuthLenencData, 0, 8, []byte("jane"), []byte("proof"), nil, nil, nil}, true},
		"a text as proof": {Login{Protocol41, 0, 8, []byte("jane"), []byte("proof"), nil, nil, nil}, true},
	} {
		payload := tt.login.Append(nil)
		got, err := ParseLogin(payload)
		if err != nil || !bytes.Equal(got.Append(nil), payload) || string(got.User) != string(tt.login.User) || string(got.Proof) != string(tt.login.Proof) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	login := (&Login{all, 0, 8, []byte("jane"), []byte("proof"), []byte("db"), []byte("plugin"), []byte("\x01a\x01b")}).Append(nil)
	for name, tt := range map[string]struct {
		payload []byte
		err     string
	}{
		"nothing":                 {nil, "0 bytes"},
		"no plugin's end":         {bytes.TrimSuffix(login, []byte("\x00\x04\x01a\x01b")), ""},
		"a request for TLS":       {login[:RequestSize], "a request for TLS instead"},
		"one that asks for none":  {appendWishes(nil, Protocol41, 0, 8), "asks for none"},
		"before 4.1":              {appendWishes(nil, SSL, 0, 8), "before version 4.1"},
		"no user":                 {login[:RequestSize+3], "ends too early"},
		"half a proof":            {login[:RequestSize+8], "ends too early"},
		"half the attributes":     {login[:len(login)-1], "ends too early"},
		"a length that is no one": {slices.Concat(login[:RequestSize], []byte("jane\x00\xff")), "ends too early"},
	} {
		if _, err := ParseLogin(tt.payload); (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A server is asked for nothing that it does not have, nor that the client was not offered.
func TestAdapt(t *testing.T) {
	const deprecateEOF, compress = Capabilities(1 << 24), Capabilities(1 << 5)
	l := &Login{Capabilities: Offered | SSL | deprecateEOF | compress, User: []byte("jane"), Proof: []byte("proof"), Database: []byte("db"), Plugin: []byte("p"), Attributes: []byte("a")}
	g := &Greeting{Capabilities: ^(MultiStatements | ConnectAttrs | LongPassword)}
	to, err := l.Adapt(g, false)
	if err != nil || to.Capabilities != Offered&^(MultiStatements|ConnectAttrs) || to.Proof != nil || to.Plugin != nil {
		t.Errorf("%+v, %v", to, err)
	}
	if to, err = l.Adapt(g, true); err != nil || !to.Capabilities.has(SSL) {
		t.Errorf("over TLS %+v, %v", to, err)
	}
	g.Capabilities &^= ConnectWithDB
	var told *Error
	if _, err = l.Adapt(g, false); !errors.As(err, &told) || told.Code != HandshakeError {
		t.Errorf("a server without databases at login: %v", err)
	}
}

func TestPackets(t *testing.T) {
	var wire bytes.Buffer
	c := Conn{ReadWriter: &wire, Sequence: 255}
	if c.Send([]byte("one")) != nil || c.Send(nil) != nil || c.Sequence != 1 {
		t.Fatalf("number %d", c.Sequence)
	}
	if err := c.Send(make([]byte, MaxPacket+1)); !errors.Is(err, ErrMalformed) {
		t.Errorf("too long: %v", err)
	}
	c.Sequence = 255
	for _, want := range []string{"one", ""} {
		if p, err := c.Next(); err != nil || string(p) != want {
			t.Errorf("%q, %v", p, err)
		}
	}
	for name, tt := range map[string]struct {
		bytes string
		is    error
		turn  byte // whose turn it is then
	}{
		"the end":             {"", io.EOF, 1},
		"the middle":          {"\x01", io.ErrUnexpectedEOF, 1},
		"a packet's middle":   {"\x05\x00\x00\x01ab", errMidway, 1},
		"out of turn":         {"\x00\x00\x00\x04", ErrMalformed, 5},
		"longer than allowed": {"\x01\x00\x01\x01", ErrMalformed, 2},
	} {
		c := Conn{ReadWriter: bytes.NewBufferString(tt.bytes), Sequence: 1}
		if _, err := c.Next(); !errors.Is(err, tt.is) || c.Sequence != tt.turn {
			t.Errorf("%s: %v, then it is %d's turn", name, err, c.Sequence)
		}
	}
}

func FuzzGreeting(f *testing.F) {
	f.Add(NewGreeting("8.0.40", true)[HeaderSize:])
	f.Add(greetingOf("5.1.73", Offered&^PluginAuth, aScramble, ""))
	f.Add(NewError(TooManyConnections, "Too many").Append(nil))
	f.Fuzz(func(t *testing.T, payload []byte) {
		g, err := ParseGreeting(payload)
		if err != nil {
			return
		}
		if len(g.Scramble) != scrambleSize || !g.Capabilities.has(Protocol41) {
			t.Fatalf("%+v is taken for a greeting", g)
		}
		if g.Capabilities.has(SecureConnection) {
			again, err := ParseGreeting(greetingOf(g.Version, g.Capabilities, string(g.Scramble), g.Plugin))
			if err != nil || again.Version != g.Version || again.Capabilities != g.Capabilities || !bytes.Equal(again.Scramble, g.Scramble) || again.Plugin != g.Plugin {
				t.Fatalf("%+v becomes %+v, %v", g, again, err)
			}
		}
	})
}

// What is written of a login is what was read of it: no server reads another one.
func FuzzLogin(f *testing.F) {
	f.Add((&Login{Offered | SSL, 1 << 24, 45, []byte("jane"), []byte("proof"), []byte("db"), []byte("plugin"), []byte("\x01a\x01b")}).Append(nil))
	f.Add((&Login{Protocol41 | SecureConnection, 0, 8, []byte("jane"), []byte("proof"), nil, nil, nil}).Append(nil))
	f.Add(appendWishes(nil, Protocol41|SSL, 0, 8))
	f.Fuzz(func(t *testing.T, payload []byte) {
		l, err := ParseLogin(payload)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatal(err)
			}
			return
		}
		written := l.Append(nil)
		again, err := ParseLogin(written)
		if err != nil {
			t.Fatalf("%+v cannot be read again: %v", l, err)
		}
		if !bytes.Equal(again.Append(nil), written) || !bytes.Equal(again.User, l.User) || !bytes.Equal(again.Proof, l.Proof) ||
			!bytes.Equal(again.Database, l.Database) || !bytes.Equal(again.Plugin, l.Plugin) || !bytes.Equal(again.Attributes, l.Attributes) {
			t.Fatalf("%+v becomes %+v", l, again)
		}
		if to, err := l.Adapt(&Greeting{Capabilities: Offered}, false); err == nil {
			if to.Capabilities&^Offered != 0 {
				t.Fatalf("a server is asked for %b", to.Capabilities&^Offered)
			}
		}
	})
}
