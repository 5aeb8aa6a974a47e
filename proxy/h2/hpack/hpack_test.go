package hpack

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
	"github.com/pergola-mesh/pergola/proxy/fields"
)

var wide = fields.Limits{HeaderBytes: 1 << 26, Fields: 1 << 20}

// decode is all fields of a block, as one text.
func decode(d *Decoder, block []byte, lim *fields.Limits) (string, *fields.Rule, error) {
	var b fields.Block
	b.Reset(lim)
	err := d.Decode(&b, block)
	var s strings.Builder
	for name, value := range b.All() {
		fmt.Fprintf(&s, "%s: %s\r\n", name, value)
	}
	return s.String(), b.Over(), err
}

// TestRFCExamples are those of RFC 7541, appendix C.
func TestRFCExamples(t *testing.T) {
	d := NewDecoder(256)
	d.table.resize(256)
	for _, c := range []struct{ block, want string }{
		{"488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3",
			":status: 302\r\ncache-control: private\r\ndate: Mon, 21 Oct 2013 20:13:21 GMT\r\nlocation: https://www.example.com\r\n"},
		{"4883640effc1c0bf",
			":status: 307\r\ncache-control: private\r\ndate: Mon, 21 Oct 2013 20:13:21 GMT\r\nlocation: https://www.example.com\r\n"},
		{"88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
			":status: 200\r\ncache-control: private\r\ndate: Mon, 21 Oct 2013 20:13:22 GMT\r\nlocation: https://www.example.com\r\ncontent-encoding: gzip\r\nset-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1\r\n"},
	} {
		var block []byte
		fmt.Sscanf(c.block, "%x", &block)
		if got, _, err := decode(d, block, &wide); err != nil || got != c.want {
			t.Fatalf("%q %v", got, err)
		}
	}
	if d.table.size != 215 || d.table.count != 3 {
		t.Fatalf("size %d, %d entries", d.table.size, d.table.count)
	}
}

func TestRefused(t *testing.T) {
	for name, block := range map[string]string{
		"index 0":                    "\x80",
		"index behind the table":     "\xbe",
		"name index behind":          "\x7e\x01a",
		"value missing":              "\x41",
		"value cut short":            "\x41\x05abc",
		"number without end":         "\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
		"number cut short":           "\xff\xff",
		"table larger than allowed":  "\x3f\xe2\x1f",
		"table size behind a field":  "\x82\x20",
		"the end-of-string code":     "\x41\x84\xff\xff\xff\xff",
		"padding of a byte":          "\x41\x82\x1f\xff",
		"padding of zeros":           "\x41\x81\x18",
		"a name cut short":           "\x40\x03ab",
		"a Huffman name cut in half": "\x40\x81\xfe",
	} {
		if got, _, err := decode(NewDecoder(DefaultTableSize), []byte(block), &wide); err == nil {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestBombs: what is small on the wire and large decoded is charged as decoded, and costs nothing once over.
func TestBombs(t *testing.T) {
	lim := fields.DefaultLimits
	big := append([]byte{0x40, 1, 'x'}, appendInt(nil, 0, 7, 4000)...)
	big = append(big, bytes.Repeat([]byte("y"), 4000)...)
	bomb := append(big, bytes.Repeat([]byte{0xbe}, 16000)...)
	var b fields.Block
	b.Reset(&lim)
	d := NewDecoder(DefaultTableSize)
	if err := d.Decode(&b, bomb); err != nil || b.Over() != fields.RuleHeaderSize || b.Size() > lim.HeaderBytes+8<<10 {
		t.Fatalf("%v, over %v, %d bytes", err, b.Over(), b.Size())
	}
	b.Reset(&lim)
	if err := d.Decode(&b, bytes.Repeat([]byte{0x90}, 101)); err != nil || b.Over() != fields.RuleFieldCount { // accept-encoding
		t.Fatalf("%v, over %v", err, b.Over())
	}
	b.Reset(&lim)
	if err := d.Decode(&b, bytes.Repeat([]byte{0x60, 1, 'a'}, 300)); err != nil || b.Over() != fields.RuleFieldCount { // cookie crumbs
		t.Fatalf("%v, over %v", err, b.Over())
	}
	// The table is still in step.
	if got, _, err := decode(d, []byte{0xbe}, &lim); err != nil || got != "cookie: a\r\n" {
		t.Fatalf("%q %v", got, err)
	}
}

// TestEncoderAgainstReference encodes fields that come again. Without a table they would be 169 bytes and the long one.
// Which of them keep each other out of it by their hashes differs with the seed: it must go well with one of ten.
func TestEncoderAgainstReference(t *testing.T) {
	defer func(s maphash.Seed) { seed = s }(seed)
	least := math.MaxInt
	for range 10 {
		seed = maphash.MakeSeed()
		least = min(least, againstReference(t))
	}
	if least > 150 {
		t.Errorf("a block is never less than %d bytes and the long field", least)
	}
}

// againstReference returns the length of the longest of the later blocks, without the long field.
func againstReference(t *testing.T) (longest int) {
	t.Helper()
	e := NewEncoder(DefaultTableSize)
	ref := hpack.NewDecoder(DefaultTableSize, nil)
	d := NewDecoder(DefaultTableSize)
	long := strings.Repeat("z", 3000)
	for round := range 50 {
		switch round {
		case 10:
			e.SetTableSize(0)
			e.SetTableSize(200)
		case 20:
			e.SetTableSize(1 << 20)
		case 30:
			e.Rest()
		}
		var h exchange.Header
		h.Add(exchange.ContentType, "text/plain; charset=utf-8")
		h.Add(exchange.NewName("X-Request-Number"), fmt.Sprint(round))
		h.Add(exchange.NewName("X-Same"), "always the same")
		h.Add(exchange.Authorization, "Bearer secret")
		h.Add(exchange.ETag, `"abc"`)
		h.Add(exchange.NewName("X-Long"), long)
		h.Add(exchange.NewName("X-Empty"), "")
		h.Add(exchange.TransferEncoding, "chunked")
		block := e.Begin(nil)
		block = e.Status(block, 200+round)
		block = e.Path(block, []byte("/p"))
		block = e.Authority(block, []byte("example.com"))
		block = e.Method(block, "DELETE")
		block = e.Scheme(block, "https")
		block = e.Protocol(block, []byte("websocket"))
		block = e.Length(block, int64(round))
		block = e.Header(block, &h, fields.HopByHop)
		want := fmt.Sprintf(":status: %d\r\n:path: /p\r\n:authority: example.com\r\n:method: DELETE\r\n:scheme: https\r\n"+
			":protocol: websocket\r\ncontent-length: %d\r\ncontent-type: text/plain; charset=utf-8\r\nx-request-number: %d\r\n"+
			"x-same: always the same\r\nauthorization: Bearer secret\r\netag: \"abc\"\r\nx-long: %s\r\nx-empty: \r\n", 200+round, round, round, long)
		if got, _, err := decode(d, block, &wide); err != nil || got != want {
			t.Fatalf("round %d: %q %v", round, got, err)
		}
		list, err := ref.DecodeFull(block)
		got := ""
		for _, f := range list {
			got += f.Name + ": " + f.Value + "\r\n"
			if f.Sensitive != (f.Name == "authorization") {
				t.Errorf("sensitive: %v", f)
			}
		}
		if err != nil || got != want {
			t.Fatalf("round %d: the reference reads %q %v", round, got, err)
		}
		if round > 40 {
			longest = max(longest, len(block)-len(long))
		}
	}
	return longest
}

// TestRecentFieldsShareSets: as many fields as a set has places are remembered, whatever comes once between.
func TestRecentFieldsShareSets(t *testing.T) {
	e := NewEncoder(DefaultTableSize)
	same := func(n int) uint32 { return uint32(7 + n*recentSets) }
	for round := range 5 {
		for n := range recentWays - 1 {
			if r, seen := e.lately(same(n)); seen != (round > 0) || r.hash != same(n) {
				t.Errorf("round %d: field %d was seen: %v", round, n, seen)
			}
		}
		if _, seen := e.lately(same(100 + round)); seen {
			t.Errorf("round %d: what is new was seen", round)
		}
	}
	if _, seen := e.lately(same(0)); !seen {
		t.Error("a field was forgotten")
	}
	if _, seen := e.lately(same(100)); seen {
		t.Error("what came once and long ago was remembered")
	}
}

// FuzzDecoder: the reference agrees on every block, and on the next. It gets the representations of a block
// one by one, since it is laxer than the RFC or than we are in what parts refuses, and stricter in refusing
// a second size update at the beginning of a block: two may stand there (RFC 7541 §4.2).
func FuzzDecoder(f *testing.F) {
	var buf bytes.Buffer
	ref := hpack.NewEncoder(&buf)
	for _, v := range []string{"", "a", "text/html; charset=utf-8", strings.Repeat("long ", 100), "\x00\xff\xfe"} {
		ref.WriteField(hpack.HeaderField{Name: "x-" + fmt.Sprint(len(v)), Value: v})
	}
	f.Add(buf.Bytes(), []byte("\x82\xbe\x84\x3f\xe1\x1f"))
	f.Add(buf.Bytes(), []byte("\x3f\x30\x3f\xe1\x1f\xbe"))
	f.Add([]byte("\x20\x82\xbe"), []byte("\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff"))
	lim := fields.Limits{HeaderBytes: 1 << 20, Fields: 1 << 14}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		d, ref := NewDecoder(DefaultTableSize), hpack.NewDecoder(DefaultTableSize, nil)
		for _, block := range [][]byte{first, second} {
			got, over, err := decode(d, block, &lim)
			var want strings.Builder
			all, bad := parts(block)
			for _, part := range all {
				list, refused := ref.DecodeFull(part)
				if bad = cmp.Or(refused, bad); refused != nil {
					break
				}
				for _, f := range list {
					if over == nil {
						fmt.Fprintf(&want, "%s: %s\r\n", f.Name, f.Value)
					}
				}
			}
			if (err == nil) != (bad == nil) {
				t.Fatalf("%x: %v, the reference says %v", block, err, bad)
			}
			if err != nil {
				return
			}
			if over == nil && got != want.String() {
				t.Fatalf("%x: %q, the reference says %q", block, got, want.String())
			}
		}
	})
}

// parts cuts a block into its representations (RFC 7541 §6); the last one may be cut short. It says what is
// wrong with the block that the reference lets pass: a size update behind a field (§4.2), and an integer of
// more bytes than are read of one, which leading zeros make as long as one likes (§5.1).
func parts(block []byte) (all [][]byte, bad error) {
	integer := func(p []byte, prefix uint) (n, size int) {
		n, size = int(p[0])&(1<<prefix-1), 1
		for shift := 0; n >= 1<<prefix-1 && size < len(p); shift += 7 {
			n += int(p[size]&0x7f) << min(shift, 28)
			size++
			if p[size-1] < 0x80 {
				break
			}
		}
		if size > 6 {
			bad = errors.New("a long integer")
		}
		return n, size
	}
	field := false
	for len(block) > 0 {
		prefix, strings := uint(4), 0
		switch c := block[0]; {
		case c >= 0x80:
			prefix = 7
		case c >= 0x40:
			prefix, strings = 6, 1
		case c >= 0x20:
			if prefix = 5; field {
				bad = errors.New("a late size update")
			}
		default:
			strings = 1
		}
		field = field || block[0]&0xe0 != 0x20
		n, size := integer(block, prefix)
		if strings > 0 && n == 0 {
			strings = 2
		}
		for ; strings > 0 && size < len(block); strings-- {
			n, head := integer(block[size:], 7)
			size = min(size+head+n, len(block))
		}
		all, block = append(all, block[:size]), block[size:]
	}
	return all, bad
}

func TestLongIntegersAreRefused(t *testing.T) {
	for n, want := range map[int]bool{0: true, 4: true, 5: false, 8: false} {
		block := append(append([]byte{0x10, 0x7f}, bytes.Repeat([]byte{0x80}, n)...), 0)
		block = append(append(block, strings.Repeat("a", 127)...), 0)
		if _, _, err := decode(NewDecoder(DefaultTableSize), block, &wide); (err == nil) != want {
			t.Errorf("a length with %d bytes of nothing: %v", n, err)
		}
	}
}

// FuzzEncoder: whatever is sent, in any order of sizes, reads the same at the other end.
func FuzzEncoder(f *testing.F) {
	f.Add([]byte("abcabcabcabc"), uint16(300))
	f.Fuzz(func(t *testing.T, in []byte, size uint16) {
		e, d, ref := NewEncoder(DefaultTableSize), NewDecoder(DefaultTableSize), hpack.NewDecoder(DefaultTableSize, nil)
		for i, c := range in[:min(len(in), 200)] {
			if i == 10 {
				e.SetTableSize(int(size))
			}
			name := exchange.NewName(fmt.Sprintf("x-%d", c%7))
			if c&0x40 != 0 {
				name = exchange.Accept
			}
			value := strings.Repeat(string(rune('a'+c%5)), int(c)*3)
			block := e.Field(e.Begin(nil), name, value)
			want := strings.ToLower(name.String()) + ": " + value + "\r\n"
			if got, _, err := decode(d, block, &wide); err != nil || got != want {
				t.Fatalf("%d: %q %v", i, got, err)
			}
			if list, err := ref.DecodeFull(block); err != nil || len(list) != 1 || list[0].Value != value {
				t.Fatalf("%d: the reference reads %v %v", i, list, err)
			}
		}
	})
}

func TestAllocations(t *testing.T) {
	e, d := NewEncoder(DefaultTableSize), NewDecoder(DefaultTableSize)
	var h exchange.Header
	h.Add(exchange.ContentType, "text/plain; charset=utf-8")
	h.Add(exchange.NewName("X-Same"), "always the same")
	h.Add(exchange.Cookie, "secret")
	var block []byte
	var b fields.Block
	exchangetest.NoAllocations(t, func() {
		block = e.Status(e.Begin(block[:0]), 200)
		block = e.Header(block, &h, fields.HopByHop)
		b.Reset(&wide)
		if err := d.Decode(&b, block); err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	var buf bytes.Buffer
	e := hpack.NewEncoder(&buf)
	request := []hpack.HeaderField{{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "https"}, {Name: ":path", Value: "/some/path?with=query"},
		{Name: ":authority", Value: "www.example.com"}, {Name: "user-agent", Value: "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"},
		{Name: "accept", Value: "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}, {Name: "accept-encoding", Value: "gzip, deflate, br, zstd"},
		{Name: "accept-language", Value: "en-US,en;q=0.5"}, {Name: "x-custom", Value: "something of one's own"}}
	for _, f := range request {
		e.WriteField(f)
	}
	first := bytes.Clone(buf.Bytes())
	buf.Reset()
	for _, f := range request {
		e.WriteField(f)
	}
	var block fields.Block
	for name, in := range map[string][]byte{"first": first, "again": buf.Bytes()} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			d := NewDecoder(DefaultTableSize)
			block.Reset(&wide)
			d.Decode(&block, first)
			for b.Loop() {
				block.Reset(&wide)
				if err := d.Decode(&block, in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
