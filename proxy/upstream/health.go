package upstream

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
)

// HealthCheck probes the servers of a load balancer. Servers are up until a probe fails, and
// each is judged by its last probe.
type HealthCheck struct {
	// Scheme replaces that of the server's URL; empty keeps it.
	Scheme string
	// Mode is http, which empty stands for, or grpc: the health service grpc.health.v1.Health is asked,
	// whatever Path, Method and Status say.
	Mode string
	Path string
	// Method is GET when empty.
	Method string
	// Status is the expected one; 0 takes 2xx and 3xx.
	Status int
	// Port replaces that of the server's URL; 0 keeps it.
	Port int
	// Interval between probes of a server that is up; 0 means 30 s. UnhealthyInterval of one that is
	// down; 0 means Interval. Timeout of a probe; 0 means 5 s.
	Interval, UnhealthyInterval, Timeout time.Duration
	// Hostname is the Host of the probe; empty means the server's.
	Hostname string
	// FollowRedirects judges by where redirects lead.
	FollowRedirects bool
	Headers         map[string]string
}

// Times of a health check that says nothing else.
const (
	DefaultHealthInterval = 30 * time.Second
	DefaultHealthTimeout  = 5 * time.Second
)

// complete fills in what is not set and finds what cannot be.
func (c *HealthCheck) complete() error {
	switch c.Mode {
	case "", "http", "grpc":
	default:
		return fmt.Errorf("mode %q is not known: use http or grpc", c.Mode)
	}
	switch c.Scheme {
	case "", "http", "https":
	default:
		return fmt.Errorf("scheme %q is not known: use http or https", c.Scheme)
	}
	if u, err := url.Parse(c.Path); err != nil {
		return fmt.Errorf("path: %w", err)
	} else if u.Host != "" || u.Scheme != "" {
		return fmt.Errorf("path %q names a server: give the path alone", c.Path)
	}
	if c.Port < 0 || c.Port > 65535 {
		return fmt.Errorf("port is %d; it must be from 0 to 65535", c.Port)
	}
	if c.Status != 0 && (c.Status < 100 || c.Status > 599) {
		return fmt.Errorf("status is %d; it must be from 100 to 599, or 0 for any of 2xx and 3xx", c.Status)
	}
	for name, value := range c.Headers {
		if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			return fmt.Errorf("headers: %q cannot be sent: its name or value has characters that no field has", name)
		}
	}
	if c.Interval < 0 || c.UnhealthyInterval < 0 || c.Timeout < 0 {
		return errors.New("interval, unhealthyInterval and timeout must be positive")
	}
	if c.Interval == 0 {
		c.Interval = DefaultHealthInterval
	}
	if c.UnhealthyInterval == 0 {
		c.UnhealthyInterval = c.Interval
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultHealthTimeout
	}
	c.Method = strings.ToUpper(c.Method)
	_, err := http.NewRequest(c.Method, "http://server/", nil)
	return err
}
