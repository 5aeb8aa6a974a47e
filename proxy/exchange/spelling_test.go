package exchange

import (
	"bytes"
	"testing"
)

// Every name is found in each of its usual spellings, wherever the text ends: no two have the same slot.
func TestSpelled(t *testing.T) {
	for _, n := range wellKnown {
		for _, name := range usual(n) {
			if len(name) > 15 {
				continue
			}
			for _, behind := range []string{"", " ", "v\r\n", ": ::: ::: ::: ::: :::"} {
				text := []byte("\r\n" + name + ":" + behind)
				if id, size := Spelled(text, 2); id != n.id || size != len(name) {
					t.Errorf("%q is %d, %d bytes long, not %d, %d", text, id, size, n.id, len(name))
				}
			}
		}
	}
}

// FuzzSpelled: what is found is there, byte for byte, and has its colon.
func FuzzSpelled(f *testing.F) {
	for _, text := range []string{"", "Host", "Host:", ":", "Host\x00:", "Host\x00\x00\x00:", "Accept-Encoding:", "Accept-Encoding", "accept\rencoding: a",
		"Host : a", "User-Agent\x00:", "X-Forwarded-Host: a"} {
		f.Add([]byte(text), 0)
	}
	f.Fuzz(func(t *testing.T, text []byte, at int) {
		if at < 0 || at > len(text) {
			return
		}
		id, n := Spelled(text, at)
		if id == otherID {
			return
		}
		if colon := bytes.IndexByte(text[at:], ':'); colon != n || Identify(text[at:at+n]) != id {
			t.Fatalf("%q from %d on: %d, %d bytes long", text, at, id, n)
		}
	})
}
