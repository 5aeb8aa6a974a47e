package telemetry

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/pergola-mesh/pergola/internal/meter"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// headerLabel is a label whose value is that of a request header.
type headerLabel struct {
	name   string
	header exchange.Name
}

func newHeaderLabels(labels map[string]string) []headerLabel {
	var out []headerLabel
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		out = append(out, headerLabel{name, exchange.NewName(labels[name])})
	}
	return out
}

// Header labels come from clients: past maxHeaderValues combinations in a scope, and maxHeaderValue
// bytes in a value, they are cut down to otherValue.
const (
	maxHeaderValues = 1000
	maxHeaderValue  = 64
	otherValue      = "other"
)

// headerTable counts the requests of a scope by key and header labels.
type headerTable struct {
	labels []headerLabel

	mu       sync.RWMutex
	counters map[string]*headerCounter // by values, then key
}

type headerCounter struct {
	key    uint32
	values []string
	count  *meter.Counter
}

func newHeaderTable(labels []headerLabel) *headerTable {
	if len(labels) == 0 {
		return nil
	}
	return &headerTable{labels: labels, counters: map[string]*headerCounter{}}
}

func (t *headerTable) add(shard, key uint32, h *exchange.Header) {
	var space [256]byte
	id := space[:0]
	for i := range t.labels {
		id = append(appendHeaderValue(id, h.Get(t.labels[i].header)), 0)
	}
	t.counter(id, key).count.Add(shard, 1)
}

func appendHeaderValue(id, value []byte) []byte {
	if len(value) > maxHeaderValue || !utf8.Valid(value) {
		return append(id, otherValue...)
	}
	return append(id, value...)
}

// counter returns the counter for the values, each ended by NUL, which no header value has.
func (t *headerTable) counter(id []byte, key uint32) *headerCounter {
	id = append(id, byte(key), byte(key>>8), byte(key>>16), byte(key>>24))
	t.mu.RLock()
	c := t.counters[string(id)]
	t.mu.RUnlock()
	if c != nil {
		return c
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	values := string(id[:len(id)-4])
	if len(t.counters) >= maxHeaderValues {
		values = strings.Repeat(otherValue+"\x00", len(t.labels))
	}
	full := values + string(id[len(id)-4:])
	if c = t.counters[full]; c == nil {
		c = &headerCounter{key, strings.Split(strings.TrimSuffix(values, "\x00"), "\x00"), meter.NewCounter()}
		t.counters[full] = c
	}
	return c
}

// all returns the counters there are.
func (t *headerTable) all() []*headerCounter {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return slices.Collect(maps.Values(t.counters))
}
