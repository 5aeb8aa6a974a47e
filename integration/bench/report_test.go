//go:build linux

package main

import (
	"maps"
	"strings"
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	same := func(v float64) float64 { return v }
	if got := median([]float64{9, 1, 5}, same); got != 5 {
		t.Errorf("median of three is %v", got)
	}
	if got := median([]float64{9, 1, 5, 6}, same); got != 5.5 {
		t.Errorf("median of four is %v", got)
	}
}

// TestRatioPairsRounds has a machine that got twice as slow in the second round, for both.
func TestRatioPairsRounds(t *testing.T) {
	micros := func(n int) round {
		return round{Requests: 1000, CPU: time.Duration(n) * time.Millisecond, Elapsed: time.Second}
	}
	ours, theirs := []round{micros(8), micros(16), micros(8)}, []round{micros(10), micros(20), micros(10)}
	if got := ratio(ours, theirs); got < 0.799 || got > 0.801 {
		t.Errorf("ratio %v, want 0.8", got)
	}
}

func TestPerRequest(t *testing.T) {
	table := "    calls syscall\n--------- ----------------\n     2000 recvfrom\n       10 epoll_wait\n--------- ----------------\n     2010 total\n"
	got, err := perRequest([]byte(table), 1000)
	if want := (syscalls{"recvfrom": 2, "epoll_wait": 0.01}); err != nil || !maps.Equal(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	if got.common() != "recvfrom 2.00" {
		t.Errorf("common calls are %q", got.common())
	}
	if _, err := perRequest(nil, 1000); err == nil {
		t.Error("an empty table is no error")
	}
}

func TestShortVersion(t *testing.T) {
	for text, want := range map[string]string{
		"nginx version: nginx/1.22.1":                             "1.22.1",
		"HAProxy version 2.6.12-1+deb12u4 2026/01/01":             "2.6.12-1+deb12u4",
		"/x/envoy  version: 9e55809337/1.40.0/Clean/RELEASE":      "1.40.0",
		"v2.11.7 h1:yj0Y4fYZGPkSvibBJ1sTWE33xC0fxztVyXEW5iIdUT4=": "v2.11.7",
		"no number at all":                                        "no number at all",
	} {
		if got := shortVersion(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestTables(t *testing.T) {
	r := newReport(1, time.Second)
	r.Versions = map[string]string{"pergola": "v1", "nginx": "1.22.1"}
	r.Missing["envoy"] = "no network"
	r.addRound("bare", "128 B, c=64", "pergola", round{Requests: 1000, CPU: 8 * time.Millisecond, Elapsed: time.Second})
	r.addRound("bare", "128 B, c=64", "nginx", round{Requests: 900, CPU: 9 * time.Millisecond, Elapsed: time.Second})
	r.Direct = []quantiles{{50, 60, 70}}
	r.Latency["nginx"] = []quantiles{{30, -1, 90}}
	tables := r.tables()
	for _, want := range []string{
		"Measured: pergola v1, nginx 1.22.1. Not to be had here: envoy.\n",
		"| load | pergola | nginx |\n|---|---|---|\n| 128 B, c=64 | 8.00 | 10.00 (0.80) |\n",
		"| 128 B, c=64 | 1000 | 900 |\n",
		"| quantile | direct | nginx |\n|---|---|---|\n| p50 | 50 | +30 |\n| p90 | 60 | -1 |\n| p99 | 70 | +90 |\n",
	} {
		if !strings.Contains(tables, want) {
			t.Errorf("the tables lack %q:\n%s", want, tables)
		}
	}
}

func TestReadAnswer(t *testing.T) {
	whole := "HTTP/1.1 200 OK\r\nContent-Length: 128\r\n\r\n" + smallBody
	for text, ok := range map[string]bool{
		whole:             true,
		whole[:60]:        false,
		"HTTP/1.1 502 No": false,
	} {
		if err := readAnswer(strings.NewReader(text)); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}
