// Package file provides dynamic configuration from a file, or from a directory and all below it.
//
// Each file is TOML or YAML and may be a Go template. A file that cannot be read or parsed keeps the
// version it had before; an object in error fails alone. What did not change keeps its pointers.
package file

import (
	"context"
	"errors"
	"log/slog"
	"reflect"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/config/static"
	"github.com/pergola-mesh/pergola/internal/files"
)

// Name is the provider's name, as in "router@file".
const Name = "file"

// Provider is the file provider.
type Provider struct {
	source *source
	reload chan struct{}
	log    *slog.Logger
}

// New returns a provider of the files that config names.
func New(config static.File, log *slog.Logger) *Provider {
	return &Provider{
		source: &source{config: config, log: log, files: map[string]*file{}},
		reload: make(chan struct{}, 1),
		log:    log,
	}
}

// Read reads the files once, for a check. Its Problems hold everything that is wrong with them.
func Read(config static.File, log *slog.Logger) dynamic.Update {
	return New(config, log).source.read(unwatched{})
}

// Name returns "file".
func (p *Provider) Name() string { return Name }

// Reload has Run read the files again, watched or not. It does not wait.
func (p *Provider) Reload() {
	select {
	case p.reload <- struct{}{}:
	default:
	}
}

// Run implements providers.Provider.
func (p *Provider) Run(ctx context.Context, send func(dynamic.Update)) error {
	config := p.source.config
	if (config.Filename == "") == (config.Directory == "") {
		return errors.New("provider file: needs filename or directory, and not both")
	}
	w := files.NewWatcher(config.Watch, p.log)
	defer w.Close()
	read := func() (u dynamic.Update) {
		w.Around(func() { u = p.source.read(w) })
		return u
	}

	last := read()
	send(last)
	for w.Wait(ctx, p.reload) {
		if next := read(); !same(last, next) {
			last = next
			send(last)
		}
	}
	return nil
}

// same tells whether b says what a says. Objects that did not change are the same pointers, which
// makes it quick.
func same(a, b dynamic.Update) bool {
	return reflect.DeepEqual(a.Problems, b.Problems) && reflect.DeepEqual(a.Salvaged, b.Salvaged) && reflect.DeepEqual(a.Config, b.Config)
}
