//go:build linux

package main

import (
	"fmt"
	"strings"
)

// tables lays the report out in Markdown.
func (r *report) tables() string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s. %s. Medians of %d rounds of %s; of plain HTTP/1.1, TCP and latency, of twice as many.\n", r.Date, r.Machine, r.Rounds, r.Duration)
	var versions []string
	for _, p := range products {
		if version := r.Versions[p.name]; version != "" {
			versions = append(versions, p.name+" "+version)
		}
	}
	fmt.Fprintf(&out, "Measured: %s.", strings.Join(versions, ", "))
	for _, p := range products {
		if r.Missing[p.name] != "" {
			fmt.Fprintf(&out, " Not to be had here: %s.", p.name)
		}
	}
	out.WriteByte('\n')
	r.loadTable(&out, "CPU time per request in µs (in brackets: ours ÷ theirs)", func(l *loadReport, name string) string {
		text := fmt.Sprintf("%.2f", median(l.Rounds[name], round.microsPerRequest))
		if ours := l.Rounds["pergola"]; name != "pergola" && len(ours) > 0 {
			text += fmt.Sprintf(" (%.2f)", ratio(ours, l.Rounds[name]))
		}
		return text
	})
	r.loadTable(&out, "Requests per second", func(l *loadReport, name string) string {
		return fmt.Sprintf("%.0f", median(l.Rounds[name], round.requestsPerSecond))
	})
	r.streamTable(&out)
	r.latencyTable(&out)
	r.memoryTable(&out)
	r.syscallTable(&out)
	if r.Routers != nil {
		few, many := r.Routers.Rounds["1"], r.Routers.Rounds[fmt.Sprint(manyRouters)]
		fmt.Fprintf(&out, "\n**Routers.** CPU time per request with %d routers is %.2f µs, with one %.2f µs: %.2f times as much.\n",
			manyRouters, median(many, round.microsPerRequest), median(few, round.microsPerRequest), ratio(many, few))
	}
	return out.String()
}

// names are the products that have figures, in order.
func names[T any](figures map[string]T) []string {
	var present []string
	for _, p := range products {
		if _, ok := figures[p.name]; ok {
			present = append(present, p.name)
		}
	}
	return present
}

func (r *report) loadTable(out *strings.Builder, title string, cell func(*loadReport, string) string) {
	if len(r.Loads) == 0 {
		return
	}
	present := names(r.Versions)
	header(out, title, "load", present)
	for _, l := range r.Loads {
		name := l.Load
		if l.Set != "bare" {
			name += ", " + l.Set
		}
		row(out, name, present, func(product string) string {
			if len(l.Rounds[product]) == 0 {
				return "–"
			}
			return cell(l, product)
		})
	}
}

func (r *report) latencyTable(out *strings.Builder) {
	if len(r.Latency) == 0 {
		return
	}
	present := names(r.Latency)
	header(out, fmt.Sprintf("Latency added at %d requests per second in µs", openRate), "quantile",
		append([]string{"direct"}, present...))
	for i, quantile := range openQuantiles {
		at := func(q quantiles) float64 { return q[i] }
		row(out, fmt.Sprintf("p%g", quantile*100), append([]string{"direct"}, present...), func(product string) string {
			if product == "direct" {
				return fmt.Sprintf("%.0f", median(r.Direct, at))
			}
			return fmt.Sprintf("%+.0f", median(r.Latency[product], at))
		})
	}
}

func (r *report) memoryTable(out *strings.Builder) {
	if len(r.Memory) == 0 {
		return
	}
	present := names(r.Memory)
	header(out, "Memory", "resident (PSS)", present)
	megabytes := func(bytes int64) string { return fmt.Sprintf("%.1f MB", float64(bytes)/1e6) }
	row(out, "at rest", present, func(p string) string { return megabytes(r.Memory[p].Rest) })
	row(out, "under load, c=256", present, func(p string) string { return megabytes(r.Memory[p].Load) })
	row(out, fmt.Sprintf("%d idle connections", r.Memory[present[0]].Connections), present,
		func(p string) string { return megabytes(r.Memory[p].Idle) })
	each := func(of func(memory) float64) func(string) string {
		return func(p string) string { return fmt.Sprintf("%.2f KiB", of(r.Memory[p])/1024) }
	}
	row(out, "each idle connection", present, each(func(m memory) float64 { return m.PerConnection }))
	row(out, "each idle connection of TLS", present, each(func(m memory) float64 { return m.PerTLS }))
	row(out, "each idle connection of HTTP/2", present, each(func(m memory) float64 { return m.PerHTTP2 }))
}

func (r *report) syscallTable(out *strings.Builder) {
	if len(r.Syscalls) == 0 {
		return
	}
	present := names(r.Syscalls)
	header(out, "System calls per request", "128 B, c=64", present)
	row(out, "all", present, func(p string) string { return fmt.Sprintf("%.2f", r.Syscalls[p].total()) })
	row(out, "of these", present, func(p string) string { return r.Syscalls[p].common() })
}

func header(out *strings.Builder, title, first string, columns []string) {
	fmt.Fprintf(out, "\n**%s**\n\n| %s | %s |\n|---%s|\n", title, first, strings.Join(columns, " | "),
		strings.Repeat("|---", len(columns)))
}

func row(out *strings.Builder, first string, columns []string, cell func(string) string) {
	fmt.Fprintf(out, "| %s ", first)
	for _, column := range columns {
		fmt.Fprintf(out, "| %s ", cell(column))
	}
	out.WriteString("|\n")
}
