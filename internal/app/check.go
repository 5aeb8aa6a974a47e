package app

import (
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/config/static"
	"github.com/pergola-mesh/pergola/identity"
	"github.com/pergola-mesh/pergola/providers/file"
	"github.com/pergola-mesh/pergola/proxy/snapshot"
)

// check validates the whole configuration and lists everything that is wrong with it, and what has no effect.
func check(args, environ []string, stdout, stderr io.Writer) int {
	show := slices.Contains(args, "--print") || slices.Contains(args, "-print")
	args = slices.DeleteFunc(slices.Clone(args), func(a string) bool { return a == "--print" || a == "-print" })
	loaded := static.Load(args, environ)
	if show {
		if err := loaded.Print(stdout); err != nil {
			fmt.Fprintln(stderr, "pergola check:", err)
			return exitError
		}
	}
	for _, w := range loaded.Warnings {
		fmt.Fprintln(stderr, "warning:", w)
	}
	problems := loaded.Problems
	var objects [3]int
	if len(problems) == 0 {
		var warnings []string
		problems, warnings, objects = checkDynamic(loaded.Config)
		for _, w := range warnings {
			fmt.Fprintln(stderr, "warning:", w)
		}
	} else if f := loaded.Config.Providers.File; f != nil {
		// Without a static configuration there is nothing to build with; what the files themselves
		// get wrong can still be told.
		problems = append(problems, file.Read(*f, slog.New(slog.DiscardHandler)).Problems...)
	}
	if len(problems) > 0 {
		return report(problems, stderr)
	}
	source := loaded.File
	if source == "" {
		source = "no configuration file"
	}
	fmt.Fprintf(stderr, "ok: %s, %d routers, %d services, %d middlewares\n", source, objects[0], objects[1], objects[2])
	return exitOK
}

// checkDynamic builds what the file provider says, as the gateway would, and throws it away.
func checkDynamic(c *static.Configuration) (problems []dynamic.Problem, warnings []string, objects [3]int) {
	core, err := newCore(c, slog.New(slog.DiscardHandler))
	if err != nil {
		return []dynamic.Problem{{Message: err.Error()}}, nil, objects
	}
	if c.Providers.File != nil {
		_, r := core.builder.Apply(file.Read(*c.Providers.File, slog.New(slog.DiscardHandler)))
		problems = r.Problems
	} else {
		problems = core.first.Problems
	}
	view := snapshot.NewLive(core.builder.Snapshot()).Snapshot().View() // in force, its certificates are among those of core
	return problems, core.ending(time.Now()), [3]int{len(view.Routers), len(view.Services), len(view.Middlewares)}
}

// ending tells of certificates that have ended or soon will. Those of a resolver are its to renew, and not here yet.
func (k *core) ending(now time.Time) (warnings []string) {
	for _, held := range k.identity.Certificates() {
		names, end := strings.Join(held.Leaf.DNSNames, ", "), held.Leaf.NotAfter.UTC().Format(time.DateTime)
		if names == "" {
			names = held.Leaf.Subject.String()
		}
		switch {
		case now.After(held.Leaf.NotAfter):
			warnings = append(warnings, fmt.Sprintf("the certificate for %s ended on %s UTC: clients refuse it; replace it", names, end))
		case now.After(identity.EndsSoon(held.Leaf)):
			warnings = append(warnings, fmt.Sprintf("the certificate for %s ends on %s UTC: replace it before that", names, end))
		}
	}
	return warnings
}

func report(problems []dynamic.Problem, stderr io.Writer) int {
	for _, p := range problems {
		fmt.Fprintln(stderr, p)
	}
	fmt.Fprintf(stderr, "pergola: %d problem(s) in the configuration\n", len(problems))
	return exitError
}
