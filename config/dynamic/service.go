package dynamic

import (
	"time"

	"github.com/traefik/paerser/types"
)

// Duration is a time span; a bare integer in a configuration is seconds.
type Duration = types.Duration

// Service is where requests end: exactly one of its kinds is set.
type Service struct {
	LoadBalancer        *LoadBalancer        `json:"loadBalancer,omitempty"`
	Weighted            *Weighted            `json:"weighted,omitempty"`
	HighestRandomWeight *HighestRandomWeight `json:"highestRandomWeight,omitempty"`
	Mirroring           *Mirroring           `json:"mirroring,omitempty"`
	Failover            *Failover            `json:"failover,omitempty"`
	// Middlewares run for every request of the service, whichever router sent it.
	Middlewares []string `json:"middlewares,omitempty"`
}

// Weighted shares requests among services by weight.
type Weighted struct {
	Services []WeightedService `json:"services,omitempty"`
	Sticky   *Sticky           `json:"sticky,omitempty"`
	// HealthCheck, when set, leaves out services that report themselves down.
	HealthCheck *HealthCheck `json:"healthCheck,omitempty" file:"allowEmpty"`
}

// HighestRandomWeight sends each client address to the same service (rendezvous hashing).
type HighestRandomWeight struct {
	Services    []HRWService `json:"services,omitempty"`
	HealthCheck *HealthCheck `json:"healthCheck,omitempty" file:"allowEmpty"`
}

// WeightedService is a service and its share. Weight is 1 when unset; 0 sends nothing.
type WeightedService struct {
	Name   string `json:"name,omitempty"`
	Weight *int   `json:"weight,omitempty"`
}

// SetDefaults sets weight 1.
func (s *WeightedService) SetDefaults() { s.Weight = new(1) }

// HRWService is a service and its share. Weight is 1 when unset; 0 sends nothing.
type HRWService struct {
	Name   string `json:"name,omitempty"`
	Weight *int   `json:"weight,omitempty"`
}

// SetDefaults sets weight 1.
func (s *HRWService) SetDefaults() { s.Weight = new(1) }

// Mirroring sends copies of a share of requests to other services, whose answers are dropped.
type Mirroring struct {
	Service string `json:"service,omitempty"`
	// MirrorBody copies request bodies too; true when unset.
	MirrorBody *bool `json:"mirrorBody,omitempty"`
	// MaxBodySize in bytes; a request with a longer body is not mirrored; -1 means no limit.
	MaxBodySize *int64          `json:"maxBodySize,omitempty"`
	Mirrors     []MirrorService `json:"mirrors,omitempty"`
	HealthCheck *HealthCheck    `json:"healthCheck,omitempty" file:"allowEmpty"`
}

// SetDefaults mirrors bodies of any size.
func (m *Mirroring) SetDefaults() {
	m.MirrorBody = new(true)
	m.MaxBodySize = new(int64(-1))
}

// MirrorService is a mirror and the percentage (0-100) of requests it gets.
type MirrorService struct {
	Name    string `json:"name,omitempty"`
	Percent int    `json:"percent,omitempty"`
}

// Failover uses Fallback while Service is down or answers with one of the listed errors.
type Failover struct {
	Service     string          `json:"service,omitempty"`
	Fallback    string          `json:"fallback,omitempty"`
	HealthCheck *HealthCheck    `json:"healthCheck,omitempty" file:"allowEmpty"`
	Errors      *FailoverErrors `json:"errors,omitempty"`
}

// FailoverErrors says which answers of the main service go to the fallback.
type FailoverErrors struct {
	// MaxRequestBodyBytes is how much of a request body is kept to be sent again; -1 means no limit.
	MaxRequestBodyBytes *int64 `json:"maxRequestBodyBytes,omitempty"`
	// Status lists codes and ranges, such as "500-599".
	Status []string `json:"status,omitempty"`
}

// SetDefaults keeps bodies up to 2 MiB.
func (e *FailoverErrors) SetDefaults() { e.MaxRequestBodyBytes = new(int64(2 << 20)) }

// HealthCheck makes a composed service report the health of its children upwards.
type HealthCheck struct{}

// Sticky keeps a client on the server it was first sent to.
type Sticky struct {
	Cookie *Cookie `json:"cookie,omitempty" file:"allowEmpty"`
}

// Cookie is the cookie that remembers the server.
type Cookie struct {
	// Name is derived from the service's name when empty.
	Name     string `json:"name,omitempty"`
	Secure   bool   `json:"secure,omitempty"`
	HTTPOnly bool   `json:"httpOnly,omitempty"`
	// SameSite is none, lax, strict, or empty to leave it out.
	SameSite string `json:"sameSite,omitempty"`
	// MaxAge in seconds; 0 makes a session cookie, negative expires it at once.
	MaxAge int `json:"maxAge,omitempty"`
	// Path is "/" when unset.
	Path   *string `json:"path,omitempty"`
	Domain string  `json:"domain,omitempty"`
}

// SetDefaults sets path "/".
func (c *Cookie) SetDefaults() { c.Path = new("/") }

// Default times of a load balancer.
const (
	DefaultFlushInterval     = Duration(100 * time.Millisecond)
	DefaultHealthInterval    = Duration(30 * time.Second)
	DefaultHealthTimeout     = Duration(5 * time.Second)
	DefaultPassiveWindow     = Duration(10 * time.Second)
	DefaultMaxFailedAttempts = 1
)
