package huffman

import (
	"bytes"
	"testing"

	"golang.org/x/net/http2/hpack"
)

// FuzzHuffman: what is encoded reads the same, here and by the reference, which agrees on any bytes.
func FuzzHuffman(f *testing.F) {
	f.Add([]byte("www.example.com"))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, in []byte) {
		got, ok := Decode(nil, in)
		want, err := hpack.HuffmanDecodeToString(in)
		if ok != (err == nil) || ok && string(got) != want {
			t.Fatalf("%x: %q %v, the reference says %q %v", in, got, ok, want, err)
		}
		coded := Append(nil, string(in))
		if len(coded) != Len(string(in)) || !bytes.Equal(coded, hpack.AppendHuffmanString(nil, string(in))) {
			t.Fatalf("%q becomes %x", in, coded)
		}
		if back, ok := Decode(nil, coded); !ok || !bytes.Equal(back, in) {
			t.Fatalf("%q comes back as %q", in, back)
		}
	})
}
