package route

import (
	"bytes"
	"fmt"
	"testing"
)

func TestHasUpper(t *testing.T) {
	for n := range 40 {
		host := bytes.Repeat([]byte{'-'}, n)
		if hasUpper(host) {
			t.Errorf("%q has", host)
		}
		for i := range host {
			for c := range 256 {
				host[i] = byte(c)
				if want := 'A' <= c && c <= 'Z'; hasUpper(host) != want {
					t.Errorf("%q: %v", host, !want)
				}
			}
			host[i] = '-'
		}
	}
}

// Hosts that differ in one byte, anywhere, or in their length have hashes that differ in what picks a shard
// and a slot about as often as chance has it.
func TestHashHostSpreads(t *testing.T) {
	var hosts [][]byte
	for n := 1; n < 40; n++ {
		for i := range n {
			for c := byte('a'); c <= 'z'; c++ {
				host := bytes.Repeat([]byte{'-'}, n)
				host[i] = c
				hosts = append(hosts, host)
			}
		}
	}
	for i := range 20000 {
		hosts = append(hosts, fmt.Appendf(nil, "host%d.example.com", i))
	}
	whole, shards, slots := map[uint64]int{}, map[uint64]int{}, map[uint64]int{}
	for _, host := range hosts {
		h := hashHost(host)
		if whole[h]++; whole[h] > 1 {
			t.Errorf("%q has another's hash", host)
		}
		shards[h>>56]++
		slots[h&255]++
	}
	for _, counts := range []map[uint64]int{shards, slots} {
		for i := range uint64(256) {
			if n, even := counts[i], len(hosts)/256; n < even/2 || n > even*2 {
				t.Errorf("%d of %d hosts are at %d of 256", n, len(hosts), i)
			}
		}
	}
}
