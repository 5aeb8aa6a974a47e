// Package source tells whose a request is, for middlewares that count by client: its address, a field of
// it, or the host it is for.
package source

import (
	"errors"

	"github.com/pergola-mesh/pergola/middlewares/internal/clientip"
	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// Config is the sourceCriterion section of several middlewares: one of its keys.
type Config struct {
	// IPStrategy counts by the client's address, chosen so.
	IPStrategy *clientip.Config `json:"ipStrategy,omitempty" file:"allowEmpty"`
	// RequestHeaderName counts by the value of a request field.
	RequestHeaderName string `json:"requestHeaderName,omitempty"`
	// RequestHost counts by the host of the request, without its port.
	RequestHost bool `json:"requestHost,omitempty"`
}

// Source is a Config made ready.
type Source struct {
	strategy *clientip.Strategy // nil for none
	header   exchange.Name
	byHost   bool
}

// New makes a source; otherwise stands in for a Config that is nil or says nothing.
func New(c *Config, otherwise Config) (*Source, error) {
	if c == nil || *c == (Config{}) {
		c = &otherwise
	}
	set := 0
	for _, on := range []bool{c.IPStrategy != nil, c.RequestHeaderName != "", c.RequestHost} {
		if on {
			set++
		}
	}
	if set != 1 {
		return nil, errors.New("sourceCriterion: set one of ipStrategy, requestHeaderName and requestHost, not several")
	}
	s := &Source{byHost: c.RequestHost}
	switch {
	case c.IPStrategy != nil:
		var err error
		if s.strategy, err = clientip.New(c.IPStrategy); err != nil {
			return nil, err
		}
	case c.RequestHeaderName != "":
		s.header = exchange.NewName(c.RequestHeaderName)
	}
	return s, nil
}

// Append appends what tells the source of x from others. Requests that have no such address or field are
// of one source together.
func (s *Source) Append(dst []byte, x *exchange.Exchange) []byte {
	switch {
	case s.strategy != nil:
		if addr := s.strategy.Of(x); addr.IsValid() {
			a := addr.As16()
			dst = append(dst, a[:]...)
		}
	case s.byHost:
		for _, c := range x.Request.Hostname() {
			if c >= 'A' && c <= 'Z' {
				c |= 0x20
			}
			dst = append(dst, c)
		}
	default:
		dst = append(dst, x.Request.Header.Get(s.header)...)
	}
	return dst
}
