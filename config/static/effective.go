package static

// DefaultInternalEntryPoint is the entry point that ping, metrics and the insecure API use unless
// told otherwise. It is made when it is needed and not configured.
const DefaultInternalEntryPoint = "traefik"

// complete adds what follows from what is stated.
func (l *Loaded) complete() {
	c := l.Config
	if len(c.EntryPoints) == 0 {
		c.EntryPoints = map[string]*EntryPoint{"http": newEntryPoint(":80")}
	}
	internal := c.EntryPoints[DefaultInternalEntryPoint]
	if internal == nil && c.needsInternalEntryPoint() {
		c.EntryPoints[DefaultInternalEntryPoint] = newEntryPoint("127.0.0.1:8080")
	} else if internal != nil && internal.Address == "" {
		internal.Address = "127.0.0.1:8080"
	}
}

func newEntryPoint(address string) *EntryPoint {
	e := &EntryPoint{}
	e.SetDefaults()
	e.Address = address
	return e
}

func (c *Configuration) needsInternalEntryPoint() bool {
	switch {
	case c.API != nil && c.API.Insecure:
	case c.Ping != nil && !c.Ping.ManualRouting && c.Ping.EntryPoint == DefaultInternalEntryPoint:
	case c.Metrics != nil && c.Metrics.Prometheus != nil && !c.Metrics.Prometheus.ManualRouting &&
		c.Metrics.Prometheus.EntryPoint == DefaultInternalEntryPoint:
	case c.Providers.Rest != nil && c.Providers.Rest.Insecure:
	default:
		return false
	}
	return true
}
