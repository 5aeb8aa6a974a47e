package word

import "testing"

func TestAt(t *testing.T) {
	text := []byte("abcdefghij")
	for at := range len(text) + 1 {
		want := uint64(0)
		for i := min(at+8, len(text)) - 1; i >= at; i-- {
			want = want<<8 | uint64(text[i])
		}
		if got := At(text, at); got != want {
			t.Errorf("at %d: %x, want %x", at, got, want)
		}
	}
}

// Every byte is looked at among others of all kinds, next to which it must make no difference.
func TestMarks(t *testing.T) {
	for _, around := range []byte{0, 0x1f, ' ', ':', ';', '~', 0x7f, 0x80, 0xff} {
		for c := range 256 {
			for i := range 8 {
				w := uint64(around)*ones&^(0xff<<(8*i)) | uint64(c)<<(8*i)
				marks := Controls(w)
				for j := range 8 {
					b := byte(w >> (8 * j))
					if control := b < ' ' || b == 0x7f; marks>>(8*j)&0xff != 0 != control {
						t.Fatalf("%016x: byte %d of %016x is wrong", marks, j, w)
					}
				}
				first := 0
				for first < 8 && byte(w>>(8*first)) != ':' {
					first++
				}
				if got := First(Equal(w, ':')); got != first {
					t.Fatalf("the first colon of %016x is at %d, not %d", w, first, got)
				}
			}
		}
	}
}

func TestThrough(t *testing.T) {
	for i := range 8 {
		want := ^uint64(0) >> (56 - 8*i)
		if got := Through(0x80<<(8*i) | 1<<63); got != want {
			t.Errorf("through byte %d: %x, want %x", i, got, want)
		}
	}
}
