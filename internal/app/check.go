package app

import (
	"fmt"
	"io"
	"log/slog"
	"slices"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/config/static"
	"github.com/pergola-mesh/pergola/providers/file"
)

// check validates the whole configuration and lists everything that is wrong with it.
func check(args, environ []string, stdout, stderr io.Writer) int {
	show := slices.Contains(args, "--print") || slices.Contains(args, "-print")
	args = slices.DeleteFunc(slices.Clone(args), func(a string) bool { return a == "--print" || a == "-print" })
	loaded := static.Load(args, environ)
	if len(loaded.Problems) > 0 {
		return report(loaded.Problems, stderr)
	}
	if show {
		if err := loaded.Print(stdout); err != nil {
			fmt.Fprintln(stderr, "pergola check:", err)
			return exitError
		}
	}
	problems, objects := checkDynamic(loaded.Config)
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
func checkDynamic(c *static.Configuration) (problems []dynamic.Problem, objects [3]int) {
	core, err := newCore(c, slog.New(slog.DiscardHandler))
	if err != nil {
		return []dynamic.Problem{{Message: err.Error()}}, objects
	}
	if c.Providers.File != nil {
		_, r := core.builder.Apply(file.Read(*c.Providers.File, slog.New(slog.DiscardHandler)))
		problems = r.Problems
	} else {
		problems = core.first.Problems
	}
	view := core.builder.Snapshot().View()
	return problems, [3]int{len(view.Routers), len(view.Services), len(view.Middlewares)}
}

func report(problems []dynamic.Problem, stderr io.Writer) int {
	for _, p := range problems {
		fmt.Fprintln(stderr, p)
	}
	fmt.Fprintf(stderr, "pergola: %d problem(s) in the configuration\n", len(problems))
	return exitError
}
