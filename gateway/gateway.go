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
	udp         []*UDPEntryPoint
	wg          sync.WaitGroup
}

// New binds every entry point. When one cannot be bound none stays.
func New(configs map[string]*static.EntryPoint, o Options) (*Gateway, error) {
	g := &Gateway{}
	for _, name := range slices.Sorted(maps.Keys(configs)) {
		if err := g.add(name, configs[name], o); err != nil {
			for _, bound := range g.entryPoints {
				bound.listener.Close()
			}
			for _, bound := range g.udp {
				bound.socket.Close()
			}
			return nil, err
		}
	}
	return g, nil
}

func (g *Gateway) add(name string, config *static.EntryPoint, o Options) error {
	if config.Protocol() == "udp" {
		e, err := newUDPEntryPoint(name, config, o)
		if err == nil {
			g.udp = append(g.udp, e)
		}
		return err
	}
	e, err := NewEntryPoint(name, config, o)
	if err == nil {
		g.entryPoints = append(g.entryPoints, e)
	}
	return err
}

// UDP are the entry points for UDP by name in order.
func (g *Gateway) UDP() []*UDPEntryPoint { return g.udp }

// EntryPoints are the entry points for TCP by name in order.
func (g *Gateway) EntryPoints() []*EntryPoint { return g.entryPoints }

// Start accepts connections, in the background.
func (g *Gateway) Start() {
	for _, e := range g.entryPoints {
		g.wg.Go(e.Serve)
	}
	for _, e := range g.udp {
		g.wg.Go(e.serve)
	}
}

// StopAccepting closes all listeners: the process that replaces this one accepts. What is being served
// goes on until Stop.
func (g *Gateway) StopAccepting() {
	for _, e := range g.entryPoints {
		e.StopAccepting()
	}
	for _, e := range g.udp {
		e.StopAccepting()
	}
}

// Stop drains all entry points together and returns when nothing is left, or when ctx ends.
func (g *Gateway) Stop(ctx context.Context) {
	var all sync.WaitGroup
	for _, e := range g.entryPoints {
		all.Go(func() { e.Stop(ctx) })
	}
	for _, e := range g.udp {
		all.Go(func() { e.stop(ctx) })
	}
	all.Wait()
	g.wg.Wait()
}
