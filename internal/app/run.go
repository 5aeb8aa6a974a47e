package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/config/static"
	"github.com/pergola-mesh/pergola/gateway"
	"github.com/pergola-mesh/pergola/identity"
	"github.com/pergola-mesh/pergola/internal/alarm"
	"github.com/pergola-mesh/pergola/internal/clock"
	"github.com/pergola-mesh/pergola/internal/handover"
	"github.com/pergola-mesh/pergola/internal/tidy"
	"github.com/pergola-mesh/pergola/providers"
	"github.com/pergola-mesh/pergola/providers/file"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/h3"
	"github.com/pergola-mesh/pergola/proxy/listen"
	"github.com/pergola-mesh/pergola/proxy/snapshot"
	"github.com/pergola-mesh/pergola/telemetry/accesslog"
	"github.com/pergola-mesh/pergola/telemetry/oplog"
)

// run is the gateway. Parts start in this order, each on what stands before it, and stop in the other:
// logs, core, SPIFFE identity, providers, entry points, certificate resolvers.
func run(args, environ []string, stderr io.Writer) int {
	loaded := static.Load(args, environ)
	if len(loaded.Problems) > 0 {
		return report(loaded.Problems, stderr)
	}
	clock.UseCounter()
	alarm.UseKernel()
	a, err := start(loaded, args, environ)
	if err != nil {
		fmt.Fprintln(stderr, "pergola:", err)
		return exitError
	}
	return a.wait()
}

// process is the running gateway.
type process struct {
	args      []string // with environ, what the configuration is loaded from
	environ   []string
	config    *static.Configuration
	settings  static.Settings // those it started with
	logs      *oplog.Log
	reopened  []interface{ Reopen() error } // the log files that SIGUSR1 reopens
	core      *core
	runner    *snapshot.Runner
	access    *accesslog.Log // nil when off
	sources   []providers.Provider
	life      context.Context // ends with stopFeeds
	stopFeeds context.CancelFunc
	feeds     sync.WaitGroup
	gateway   *gateway.Gateway
	signals   chan os.Signal
	sockets   *handover.Sockets
	successor *handover.Server // nil without restart.socket
	replaced  chan struct{}    // closed once another process accepts in this one's place
}

func start(loaded *static.Loaded, args, environ []string) (*process, error) {
	p := &process{args: args, environ: environ, config: loaded.Config, settings: loaded.Settings(),
		signals: make(chan os.Signal, 8), sockets: new(handover.Sockets), replaced: make(chan struct{})}
	signal.Notify(p.signals, handledSignals...)
	var err error
	if p.logs, err = oplog.New(&p.config.Log); err != nil {
		return nil, err
	}
	p.reopened = append(p.reopened, p.logs)
	p.logs.Info("starting", "version", version, "configuration", loaded.File)
	for _, w := range loaded.Warnings {
		p.logs.Warn("Configuration warning", "warning", w.String())
	}
	if p.core, err = newCore(p.config, p.logs.Logger); err != nil {
		return nil, err
	}
	if p.config.AccessLog != nil {
		if err := p.openAccessLog(p.logs.Logger); err != nil {
			return nil, err
		}
	}
	before, err := p.inherit()
	if err != nil {
		return nil, err
	}
	p.life, p.stopFeeds = context.WithCancel(context.Background())
	p.keepIdentity()
	p.feed()
	p.keepCertificates()
	if p.gateway, err = gateway.New(p.config.EntryPoints, p.options(p.logs.Logger)); err != nil {
		if before != nil {
			before.Done()
		}
		p.stopFeeds()
		p.feeds.Wait()
		return nil, err
	}
	p.gateway.Start()
	if p.core.acme != nil {
		p.core.acme.Start() // authorities may ask at once, and are answered
	}
	for _, e := range p.gateway.EntryPoints() {
		p.logs.Info("listening", "entryPoint", e.Name(), "address", e.Addr().String())
	}
	for _, e := range p.gateway.UDP() {
		p.logs.Info("listening", "entryPoint", e.Name(), "address", e.Addr().String()+"/udp")
	}
	if err := p.ready(before); err != nil {
		p.stop()
		return nil, err
	}
	p.feeds.Go(func() { tidy.Run(p.life) })
	return p, nil
}

func (p *process) openAccessLog(logger *slog.Logger) (err error) {
	if p.access, err = accesslog.New(p.config.AccessLog, logger); err != nil {
		return err
	}
	p.reopened = append(p.reopened, p.access)
	p.core.metrics.SetAccessLogDropped(p.access.Dropped)
	return nil
}

// keepCertificates staples OCSP answers, and warns of certificates that end soon.
func (p *process) keepCertificates() {
	o := identity.KeepOptions{Logger: p.logs.Logger}
	if c := p.config.OCSP; c != nil {
		o.Staple, o.Overrides = true, c.ResponderOverrides
	}
	p.feeds.Go(func() { p.core.identity.Keep(p.life, o) })
}

// firstUpdate is how long the entry points wait for the providers' first configurations, so that a
// restart does not begin by answering 404.
const firstUpdate = 5 * time.Second

// feed runs the providers and puts what they say into force.
func (p *process) feed() {
	ctx := p.life
	updates := make(chan dynamic.Update)
	if f := p.config.Providers.File; f != nil {
		p.sources = append(p.sources, file.New(*f, p.logs.Logger))
	}
	for _, s := range p.sources {
		p.feeds.Go(func() {
			err := s.Run(ctx, func(u dynamic.Update) {
				select {
				case updates <- u:
				case <-ctx.Done():
				}
			})
			if err != nil {
				p.logs.Error("provider stopped", "provider", s.Name(), "error", err)
			}
		})
	}
	p.runner = &snapshot.Runner{
		Builder: p.core.builder, Live: p.core.live, Logger: p.logs.Logger, Metrics: p.core.metrics,
		Throttle: time.Duration(p.config.Providers.ProvidersThrottleDuration), Applied: p.core.want,
	}
	late := time.After(firstUpdate)
	for heard := map[string]bool{}; len(heard) < len(p.sources); {
		select {
		case u := <-updates:
			p.runner.Apply(u)
			heard[u.Provider] = true
			continue
		case <-late:
			p.logs.Warn("a provider has not sent its first configuration yet; starting without it")
		}
		break
	}
	if p.core.spiffe != nil {
		p.runner.Changed = p.core.spiffe.Changed()
	}
	p.feeds.Go(func() { p.runner.Run(ctx, updates) })
}

func (p *process) options(logger *slog.Logger) gateway.Options {
	m := p.core.metrics
	limit := p.config.Limits.MaxConnections
	if limit == 0 {
		limit = descriptorLimit() / 2
	}
	return gateway.Options{
		Global:  &p.config.Global,
		Sockets: p.sockets,
		Process: listen.NewCap(limit),
		Handler: p.core.live.Handler,
		Observer: func(name string) exchange.Observer {
			var access exchange.Observer
			if p.access != nil {
				access = p.access
			}
			return gateway.NewObserver(m.EntryPoint(name), access)
		},
		TLS: func(name string) func(*exchange.Conn) *tls.Config {
			config := p.core.live.ConfigFor(name)
			return func(*exchange.Conn) *tls.Config { return config }
		},
		QUIC:      func(name string) *tls.Config { return p.core.live.ConfigFor(name, h3.Protocol) },
		Relay:     p.relay,
		Datagrams: p.datagrams,
		Refused:   m.Rejected,
		Connections: func(name, protocol string) func(int) {
			g := m.Connections(name, protocol)
			return func(delta int) { g.Add(0, int64(delta)) }
		},
		Logger: logger,
	}
}

// wait serves until a signal says to stop, and returns the exit code.
func (p *process) wait() int {
	for {
		var s os.Signal
		select {
		case <-p.replaced:
			p.logs.Info("draining: another process has taken over")
			p.stop()
			return exitOK
		case s = <-p.signals:
		}
		switch action(s) {
		case reload:
			p.logs.Info("reloading", "signal", s.String())
			p.reload()
		case reopen:
			for _, f := range p.reopened {
				if err := f.Reopen(); err != nil {
					p.logs.Error("log file could not be reopened", "error", err)
				}
			}
		case replace:
			if err := p.spawn(); err != nil {
				p.logs.Error("this process could not be replaced; serving on", "error", err)
			}
		case terminate:
			p.logs.Info("draining", "signal", s.String())
			handover.Notify("STOPPING=1")
			p.stop()
			return exitOK
		}
	}
}

// echo is how long a signal to stop may come once more without meaning more: timeout(1) and others send one to
// the process and one to its group.
const echo = time.Second

// stop drains, and cuts short what is left when another signal says so.
func (p *process) stop() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	began := time.Now()
	go func() {
		for {
			select {
			case s := <-p.signals:
				switch {
				case action(s) != terminate:
				case time.Since(began) < echo:
					p.logs.Info("draining already", "signal", s.String())
				default:
					p.logs.Warn("stopping at once", "signal", s.String())
					cancel()
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	if p.core.ping != nil {
		p.core.ping.Drain()
	}
	p.core.stopACME(ctx)
	p.gateway.Stop(ctx)
	if p.successor != nil {
		p.successor.Close()
	}
	p.stopFeeds()
	p.feeds.Wait()
	if p.access != nil {
		p.access.Close()
	}
	p.logs.Info("stopped")
	p.logs.Close()
}

type signalAction int

const (
	terminate signalAction = iota
	reload
	reopen
	replace
)
