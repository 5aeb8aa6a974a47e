package h2

import (
	"testing"
	"unsafe"
)

// While it is idle a connection is a downConn and what that was given. Sizes of allocations go up in steps.
func TestConnIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(downConn{}); n > 512 {
		t.Errorf("a downConn takes %d bytes: put what not every one needs behind a pointer", n)
	}
}

func TestPast(t *testing.T) {
	var p past
	how := func(n uint32) endedBy { return endedBy(n/2%3) + byEnd }
	for n := uint32(1); n < 1000; n += 2 {
		p.add(n, how(n))
	}
	const last = 1<<31 - 1
	p.add(last, byUs)
	for n := uint32(0); n < 1010; n++ {
		want := notSeen
		if n%2 == 1 && n < 1000 && n > 999-2*(remembered-1) {
			want = how(n)
		}
		if got := p.how(n); got != want {
			t.Errorf("stream %d: %d, want %d", n, got, want)
		}
	}
	if p.how(last) != byUs || p.how(last-1) != notSeen {
		t.Error("the last stream there can be is not remembered")
	}
}
