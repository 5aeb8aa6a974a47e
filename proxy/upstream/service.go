package upstream

import (
	"time"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// Service is where requests end. It is made by a Registry, and closed by who had it made, once no
// snapshot that traffic is sent to uses it. Requests that still come after that are served.
type Service interface {
	exchange.Handler
	Health
	// Status is the state of each server by its URL; nil for a service made of services.
	Status() map[string]string
	// Close gives the service's servers up. It may be called more than once.
	Close()
}

// Health is what a service says of itself to those that are made of it.
type Health interface {
	// Checked reports whether Healthy means anything: health checks are configured.
	Checked() bool
	// Healthy reports whether the service has a server that is up. It is cheap.
	Healthy() bool
}

// Child is a service that another is made of.
type Child struct {
	Name string
	// Handler is the service, with its middlewares around it if it has any.
	Handler exchange.Handler
	// Health is the service's own; nil for one that has none, such as an internal service.
	Health Health
}

func (c *Child) checked() bool { return c.Health != nil && c.Health.Checked() }
func (c *Child) healthy() bool { return c.Health == nil || c.Health.Healthy() }

// What a server's status can be.
const (
	StatusUp   = "UP"
	StatusDown = "DOWN"
)

// ServerStatus is the state of a server.
type ServerStatus struct {
	Service, URL string
	// Status is UP or DOWN.
	Status string
	// Ejected says that it is down because requests to it failed, and not by an active check.
	Ejected bool
	Weight  int
	// InFlight is the number of requests that are not over; Latency the moving average of the time to
	// the response's head, kept by strategies that go by it.
	InFlight int64
	Latency  time.Duration
}

func (e *endpoint) status() ServerStatus {
	s := ServerStatus{
		Service: e.service, URL: e.url, Status: StatusUp, Ejected: e.ejected.Load(),
		InFlight: e.load.InFlight(), Latency: e.load.Latency(),
	}
	if !e.up() {
		s.Status = StatusDown
	}
	return s
}
