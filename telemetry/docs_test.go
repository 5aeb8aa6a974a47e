package telemetry

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// documented matches a row of the reference: name, mark, type, labels.
var documented = regexp.MustCompile("(?m)^\\| `(pergola_[a-z_]+)`( \\*T\\*)? \\| (counter|gauge|histogram) \\| ([^|]*)\\|")

// TestTheReferenceListsEveryMetric with its type, its labels, and whether Traefik has it too.
func TestTheReferenceListsEveryMetric(t *testing.T) {
	text, err := os.ReadFile("../docs/reference/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for _, row := range documented.FindAllStringSubmatch(string(text), -1) {
		labels := strings.Fields(strings.ReplaceAll(row[4], "`", ""))
		slices.Sort(labels)
		for _, name := range []string{row[1], strings.Replace(row[1], ourPrefix, traefikPrefix, 1)} {
			if strings.HasPrefix(name, ourPrefix) || row[2] != "" {
				want[name] = row[3] + " " + strings.Join(labels, " ")
			}
		}
	}
	o := all
	o.TraefikNames = true
	m := newMetrics(t, o)
	traffic(m)
	registry := prometheus.NewRegistry()
	registry.MustRegister(m)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		got := strings.ToLower(f.GetType().String()) + " " + strings.Join(labels, " ")
		if w, ok := want[f.GetName()]; !ok || w != got {
			t.Errorf("%s is a %s, the reference says %q", f.GetName(), got, w)
		}
		delete(want, f.GetName())
	}
	for name := range want {
		t.Errorf("the reference has %s, which there is not", name)
	}
}
