package app

import (
	"fmt"
	"strings"

	"github.com/pergola-mesh/pergola/config/static"
)

// reload reads again what may change while the process runs, and tries again what failed.
func (p *process) reload() {
	for _, source := range p.sources {
		if r, ok := source.(interface{ Reload() }); ok {
			r.Reload()
		}
	}
	p.runner.Reload()
	if p.core.acme != nil {
		p.core.acme.Retry()
	}
	p.compareStatic(static.Load(p.args, p.environ))
}

// compareStatic tells that a static configuration which is not the one that the process started with takes a
// new process.
func (p *process) compareStatic(now *static.Loaded) {
	if len(now.Problems) > 0 {
		p.logs.Error("The static configuration has problems: this process serves on as it was started, and no other would start; see pergola check",
			"problems", len(now.Problems), "first", now.Problems[0].String())
		return
	}
	keys := p.settings.Changed(now.Settings())
	if len(keys) == 0 {
		return
	}
	remedy := "stop this process and start another; restarts are without loss once restart.socket is set"
	if p.successor != nil {
		remedy = "send SIGUSR2, or start another process beside this one: it takes over without loss"
	}
	p.logs.Error("The static configuration has changed, and is read at start only", "file", now.File, "keys", someOf(keys), "remedy", remedy)
}

// someOf lists the first of many names.
func someOf(names []string) string {
	const most = 8
	if more := len(names) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), more)
	}
	return strings.Join(names, ", ")
}
