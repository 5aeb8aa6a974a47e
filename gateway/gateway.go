package gateway

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/pergola-mesh/pergola/config/static"
)

// Gateway is all entry points.
type Gateway struct {
	entryPoints []*EntryPoint
	wg          sync.WaitGroup
}

// New binds every entry point. When one cannot be bound none stays.
func New(configs map[string]*static.EntryPoint, o Options) (*Gateway, error) {
	g := &Gateway{}
	for _, name := range slices.Sorted(maps.Keys(configs)) {
		e, err := NewEntryPoint(name, configs[name], o)
		if err != nil {
			for _, bound := range g.entryPoints {
				bound.listener.Close()
			}
			return nil, err
		}
		g.entryPoints = append(g.entryPoints, e)
	}
	return g, nil
}

// EntryPoints are the entry points by name in order.
func (g *Gateway) EntryPoints() []*EntryPoint { return g.entryPoints }

// Start accepts connections, in the background.
func (g *Gateway) Start() {
	for _, e := range g.entryPoints {
		g.wg.Go(e.Serve)
	}
}

// StopAccepting closes all listeners: the process that replaces this one accepts. What is being served
// goes on until Stop.
func (g *Gateway) StopAccepting() {
	for _, e := range g.entryPoints {
		e.StopAccepting()
	}
}

// Stop drains all entry points together and returns when nothing is left, or when ctx ends.
func (g *Gateway) Stop(ctx context.Context) {
	var all sync.WaitGroup
	for _, e := range g.entryPoints {
		all.Go(func() { e.Stop(ctx) })
	}
	all.Wait()
	g.wg.Wait()
}
