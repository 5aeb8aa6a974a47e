package frame

import (
	"slices"
	"testing"
)

func TestHeads(t *testing.T) {
	for _, h := range []Head{{Data, 0}, {Headers, 63}, {Settings, 64}, {0x21, 16383}, {GoAway, 1 << 20}, {1 << 40, 1 << 40}} {
		p := AppendHead(nil, h.Type, int(h.Length))
		for n := range p {
			if _, size := ParseHead(p[:n]); size != 0 {
				t.Errorf("%+v is taken from %d of %d bytes", h, n, len(p))
			}
		}
		if got, size := ParseHead(append(p, 7)); got != h || size != len(p) || size > MaxHead {
			t.Errorf("%+v comes back as %+v in %d bytes of %d", h, got, size, len(p))
		}
	}
}

func TestSettings(t *testing.T) {
	want := []Setting{{SettingMaxFieldSection, 32 << 10}, {SettingExtendedConnect, 1}, {0x21, 1 << 40}}
	p := AppendSettings(nil, want...)
	h, n := ParseHead(p)
	got, err := ParseSettings(p[n:])
	if h.Type != Settings || int(h.Length) != len(p)-n || err != nil || !slices.Equal(got, want) {
		t.Errorf("%+v %v %v", h, got, err)
	}
	for name, payload := range map[string][]byte{
		"half a setting": {6}, "half a number": {0x40}, "half a value": {6, 0x40},
	} {
		if _, err := ParseSettings(payload); err != ErrFrame {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, payload := range map[string][]byte{
		"twice": {6, 1, 6, 1}, "of HTTP/2": {2, 1}, "no boolean": {8, 2}, "datagrams": {0x33, 9},
	} {
		if _, err := ParseSettings(payload); err != ErrSettings {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzFrames: a stream of frames is cut in one way only, however it arrives.
func FuzzFrames(f *testing.F) {
	f.Add([]byte{0, 3, 'a', 'b', 'c', 1, 0, 0x40, 0x21, 1, 'x'})
	f.Add(AppendGoAway(AppendSettings(nil, Setting{6, 1 << 20}), 1<<40))
	f.Fuzz(func(t *testing.T, p []byte) {
		for len(p) > 0 {
			h, n := ParseHead(p)
			if n == 0 {
				if len(p) >= MaxHead {
					t.Fatalf("%x is no head, and yet long enough", p[:MaxHead])
				}
				return
			}
			if short, m := ParseHead(p[:n]); short != h || m != n {
				t.Fatalf("%x: %+v or %+v", p[:n], h, short)
			}
			if _, m := ParseHead(p[:n-1]); m != 0 {
				t.Fatalf("%x is a head without its last byte", p[:n])
			}
			again := AppendHead(nil, h.Type, int(h.Length))
			if back, m := ParseHead(again); back != h || m != len(again) || m > n {
				t.Fatalf("%+v becomes %x", h, again)
			}
			p = p[n:]
			if h.Length > uint64(len(p)) {
				return
			}
			if h.Type == Settings {
				if list, err := ParseSettings(p[:h.Length]); err == nil {
					q := AppendSettings(nil, list...)
					_, n := ParseHead(q)
					if back, err := ParseSettings(q[n:]); err != nil || !slices.Equal(back, list) {
						t.Fatalf("%v comes back as %v, %v", list, back, err)
					}
				}
			}
			p = p[h.Length:]
		}
	})
}
