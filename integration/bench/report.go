//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A report holds the figures of one run. Maps are keyed by product name; every slice has a value a round.
type report struct {
	Date     string            `json:"date"`
	Machine  string            `json:"machine"`
	Rounds   int               `json:"rounds"`
	Duration time.Duration     `json:"duration"`
	Versions map[string]string `json:"versions"`
	Missing  map[string]string `json:"missing,omitempty"` // why a product could not be had

	Loads    []*loadReport          `json:"loads"`
	Direct   []quantiles            `json:"direct,omitempty"`  // latency without a proxy
	Latency  map[string][]quantiles `json:"latency,omitempty"` // what the proxy adds to it
	Memory   map[string]memory      `json:"memory,omitempty"`
	Syscalls map[string]syscalls    `json:"syscalls,omitempty"`
	Streams  map[string][]float64   `json:"streams,omitempty"` // seconds of CPU per GiB, of each round
	Routers  *loadReport            `json:"routers,omitempty"` // keyed by "1" and "10000"
}

// A loadReport is one closed-loop load in one set of configurations.
type loadReport struct {
	Set    string             `json:"set"` // "bare" or "deployed"
	Load   string             `json:"load"`
	Rounds map[string][]round `json:"rounds"`
}

func newReport(rounds int, duration time.Duration) *report {
	return &report{
		Date: time.Now().UTC().Format(time.DateOnly), Machine: describeMachine(), Rounds: rounds, Duration: duration,
		Versions: map[string]string{}, Missing: map[string]string{}, Latency: map[string][]quantiles{},
		Memory: map[string]memory{}, Syscalls: map[string]syscalls{},
	}
}

func describeMachine() string {
	model := "unknown CPU"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, rest, found := strings.Cut(string(text), "model name"); found {
			line, _, _ := strings.Cut(rest, "\n")
			model = strings.TrimSpace(strings.TrimLeft(line, "\t :"))
		}
	}
	kernel := "unknown"
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		kernel = unix.ByteSliceToString(name.Release[:])
	}
	cores := strings.Count(readOr("/proc/stat", "\ncpu0"), "\ncpu")
	return fmt.Sprintf("%s, %d cores, Linux %s, %s", model, cores, kernel, runtime.Version())
}

func readOr(path, otherwise string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return otherwise
	}
	return string(text)
}

func (r *report) addRound(set, load, product string, measured round) {
	i := slices.IndexFunc(r.Loads, func(l *loadReport) bool { return l.Set == set && l.Load == load })
	if i < 0 {
		i = len(r.Loads)
		r.Loads = append(r.Loads, &loadReport{Set: set, Load: load, Rounds: map[string][]round{}})
	}
	r.Loads[i].Rounds[product] = append(r.Loads[i].Rounds[product], measured)
}

// progress prints one finished load for whoever is watching.
func (r *report) progress(set, load string) {
	for _, l := range r.Loads {
		if l.Set != set || l.Load != load {
			continue
		}
		fmt.Fprintf(os.Stderr, "bench:   %-8s %-13s", set, load)
		for _, p := range products {
			if rounds := l.Rounds[p.name]; len(rounds) > 0 {
				fmt.Fprintf(os.Stderr, "  %s %.2f µs", p.name, median(rounds, round.microsPerRequest))
			}
		}
		fmt.Fprintln(os.Stderr)
	}
}

// median of a figure over the rounds.
func median[T any](rounds []T, figure func(T) float64) float64 {
	var values []float64
	for _, r := range rounds {
		values = append(values, figure(r))
	}
	slices.Sort(values)
	if n := len(values); n%2 == 0 {
		return (values[n/2-1] + values[n/2]) / 2
	}
	return values[len(values)/2]
}

// ratio is the median over the rounds of ours to theirs: what both met in one round cancels out.
func ratio(ours, theirs []round) float64 {
	var ratios []float64
	for i := range min(len(ours), len(theirs)) {
		ratios = append(ratios, ours[i].microsPerRequest()/theirs[i].microsPerRequest())
	}
	return median(ratios, func(r float64) float64 { return r })
}

// Lines of docs/benchmarks.md between which the tables stand.
const (
	tablesBegin = "<!-- tables: written by make bench -->"
	tablesEnd   = "<!-- end of tables -->"
)

// publish prints the tables, keeps the raw figures, and renews the document if the run was a whole one.
func (b *bench) publish(document bool) error {
	tables := b.report.tables()
	fmt.Println(tables)
	raw, err := json.MarshalIndent(b.report, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(b.cache, "report.json")
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "bench: the figures of every round are in", path)
	if !document {
		return nil
	}
	const name = "docs/benchmarks.md"
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(text), tablesBegin)
	_, after, closed := strings.Cut(rest, tablesEnd)
	if !found || !closed {
		return fmt.Errorf("%s lacks the lines %q and %q", name, tablesBegin, tablesEnd)
	}
	return os.WriteFile(name, []byte(before+tablesBegin+"\n\n"+tables+"\n"+tablesEnd+after), 0o644)
}
