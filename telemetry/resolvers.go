package telemetry

// ResolverState is how a certificate resolver fares.
type ResolverState struct {
	Resolver string
	// Served counts its certificates in use, Missing the wanted names without one, Failing the orders that
	// failed and will be tried again.
	Served, Missing, Failing int
}

// CertificateOrdered counts an order of a certificate resolver; err is nil when it brought a certificate.
func (m *Metrics) CertificateOrdered(resolver string, err error) {
	result := "ok"
	if err != nil {
		result = "failed"
	}
	m.orders.get(resolver, result).Add(0, 1)
}

// SetResolvers tells how certificate resolvers fare, when asked.
func (m *Metrics) SetResolvers(states func() []ResolverState) { m.resolvers.Store(&states) }

// certificates sends what is known of certificate resolvers.
func (o *output) certificates() {
	fs := &o.metrics.families
	o.metrics.orders.each(func(resolver, result string, v float64) {
		o.counter(&fs.orders, fs.orders.pairs(resolver, result), v)
	})
	states := o.metrics.resolvers.Load()
	if states == nil {
		return
	}
	for _, s := range (*states)() {
		o.gauge(&fs.resolverServed, fs.resolverServed.pairs(s.Resolver), float64(s.Served))
		o.gauge(&fs.resolverMissing, fs.resolverMissing.pairs(s.Resolver), float64(s.Missing))
		o.gauge(&fs.resolverFailing, fs.resolverFailing.pairs(s.Resolver), float64(s.Failing))
	}
}
