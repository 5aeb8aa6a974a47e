package qpack

import (
	"bytes"
	"io"
	"strings"
	"testing"

	reference "github.com/quic-go/qpack"

	"github.com/pergola-mesh/pergola/proxy/fields"
)

var roomy = fields.Limits{HeaderBytes: 1 << 20, Fields: 1 << 16}

// decode is what a section says, as lines.
func decode(section []byte, lim *fields.Limits) (text string, over *fields.Rule, err error) {
	var d Decoder
	var b fields.Block
	b.Reset(lim)
	err = d.Decode(&b, section)
	var lines strings.Builder
	for name, value := range b.All() {
		lines.WriteString(string(name) + ": " + string(value) + "\n")
	}
	return lines.String(), b.Over(), err
}

// referenceDecode is the same by another implementation.
func referenceDecode(section []byte) (text string, err error) {
	next := reference.NewDecoder().Decode(section)
	var lines strings.Builder
	for {
		f, err := next()
		if err == io.EOF {
			return lines.String(), nil
		}
		if err != nil {
			return lines.String(), err
		}
		lines.WriteString(f.Name + ": " + f.Value + "\n")
	}
}

func TestStaticTable(t *testing.T) {
	if len(static) != 99 {
		t.Fatalf("%d entries", len(static))
	}
	for i := range static {
		section := appendInt([]byte{0, 0}, 0xc0, 6, uint64(i))
		got, _, err := decode(section, &roomy)
		want, _ := referenceDecode(section)
		if err != nil || got != want {
			t.Errorf("%d: %q %v, want %q", i, got, err, want)
		}
	}
}

func TestEncoding(t *testing.T) {
	for _, f := range [][2]string{
		{"content-type", "text/html; charset=utf-8"}, {"Content-Type", "text/x"}, {"X-Own", "value"}, {"x-own", ""},
		{"age", "0"}, {"age", "77"}, {"vary", "origin"}, {"location", ""}, {strings.Repeat("Long", 40), strings.Repeat("v", 500)},
	} {
		section := AppendField(AppendPrefix(nil), []byte(f[0]), f[1])
		want := strings.ToLower(f[0]) + ": " + f[1] + "\n"
		if got, _, err := decode(section, &roomy); err != nil || got != want {
			t.Errorf("%q: %q %v", f, got, err)
		}
		if got, err := referenceDecode(section); err != nil || got != want {
			t.Errorf("%q: the reference reads %q %v", f, got, err)
		}
	}
	for status := 100; status < 1000; status++ {
		want := ":status: " + string([]byte{byte('0' + status/100), byte('0' + status/10%10), byte('0' + status%10)}) + "\n"
		if got, err := referenceDecode(AppendStatus(AppendPrefix(nil), status)); err != nil || got != want {
			t.Fatalf("%d: the reference reads %q %v", status, got, err)
		}
	}
}

func TestRefusals(t *testing.T) {
	for name, section := range map[string][]byte{
		"nothing":                     {},
		"half a prefix":               {0},
		"a dynamic table":             {2, 0},
		"a base below zero":           {0, 0x80},
		"a dynamic entry":             {0, 0, 0x80},
		"a dynamic name":              {0, 0, 0x40, 0},
		"a post-base entry":           {0, 0, 0x10},
		"a post-base name":            {0, 0, 0x00, 0},
		"an index that is too large":  {0, 0, 0xff, 36},
		"a name that is too large":    {0, 0, 0x5f, 84, 0},
		"no value":                    {0, 0, 0x51},
		"half a value":                {0, 0, 0x51, 2, 'a'},
		"half a name":                 {0, 0, 0x22, 'a'},
		"an endless number":           {0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0},
		"a Huffman code for nothing":  {0, 0, 0x51, 0x84, 0xff, 0xff, 0xff, 0xff},
		"padding that is not of ones": {0, 0, 0x51, 0x81, 0x00},
	} {
		if text, _, err := decode(section, &roomy); err != ErrDecompression {
			t.Errorf("%s: %q %v", name, text, err)
		}
	}
	if text, _, err := decode([]byte{0, 5, 0xd1}, &roomy); err != nil || text != ":method: GET\n" {
		t.Errorf("any base: %q %v", text, err) // RFC 9204 §4.5.1.2
	}
}

// TestExpansionIsBounded: what a few bytes stand for is charged, and what is over is not decoded.
func TestExpansionIsBounded(t *testing.T) {
	section := append([]byte{0, 0}, bytes.Repeat([]byte{0xff, 85 - 63}, 10_000)...)
	text, over, err := decode(section, &fields.DefaultLimits)
	if err != nil || over == nil || len(text) > fields.DefaultLimits.HeaderBytes {
		t.Errorf("%d bytes, %v, %v", len(text), over, err)
	}
	// Beyond the limit nothing is looked at: not even what is wrong.
	if _, over, err := decode(append(section, 0x80), &fields.DefaultLimits); err != nil || over == nil {
		t.Errorf("%v, %v", over, err)
	}
}

func TestDecodingAllocatesNothing(t *testing.T) {
	section := AppendPrefix(nil)
	for _, f := range [][2]string{{":method", "GET"}, {":path", "/index.html"}, {"user-agent", "test"}, {"x-own", "value"}} {
		section = AppendField(section, []byte(f[0]), f[1])
	}
	var d Decoder
	var b fields.Block
	if n := testing.AllocsPerRun(100, func() {
		b.Reset(&fields.DefaultLimits)
		d.Decode(&b, section)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzDecode: what we take, the reference takes, and reads the same.
func FuzzDecode(f *testing.F) {
	f.Add([]byte{0, 0, 0xd1, 0xc1, 0x51, 3, '/', 'a', 'b'})
	f.Add([]byte{0, 0, 0x51, 0x83, 0x60, 0x75, 0x99})
	f.Add([]byte{0, 0, 0x2a, 0x25, 0xa8, 0x82, 0x41, 0x8a})
	f.Add([]byte{0, 0, 0x27, 1, 'x', 'y', 'z', 'a', 'b', 'c', 'd', 'e', 0})
	f.Fuzz(func(t *testing.T, section []byte) {
		got, over, err := decode(section, &roomy)
		if err != nil || over != nil {
			return
		}
		if section[1] != 0 {
			section = append([]byte{0, 0}, skipBase(section[1:])...) // the reference takes no other base
		}
		want, err := referenceDecode(section)
		if err != nil || got != want {
			t.Errorf("%x: %q, the reference says %q %v", section, got, want, err)
		}
	})
}

// skipBase returns what follows the base.
func skipBase(p []byte) []byte {
	_, rest, _ := readInt(p, 7)
	return rest
}
