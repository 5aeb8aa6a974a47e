package telemetry

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// The prefixes of metric names.
const (
	ourPrefix     = "pergola_"
	traefikPrefix = "traefik_"
)

// family is a metric under its one or two names.
type family struct {
	descs []*prometheus.Desc
	// labels are the names, in the order in which values are given.
	labels []string
}

// families are all of the gateway's metrics.
type families struct {
	reloads, lastReload, problems, kept                                   family
	connections, rejected, errors, accessLogDropped, expiry               family
	retries, serverUp, serverInFlight                                     family
	orders, resolverServed, resolverMissing, resolverFailing              family
	requests, tls, duration, received, sent                               [kindCount]family
	streamErrors                                                          family
	streamsTotal, streamsOpen, streamReceived, streamSent, streamDuration [kindCount]family
}

// own are the labels that tell the scopes of a kind apart, and the kind's name in metrics.
var own = [kindCount]struct {
	name   string
	labels []string
}{
	EntryPoint: {"entrypoint", []string{"entrypoint"}},
	Router:     {"router", []string{"router", "service"}},
	Service:    {"service", []string{"service"}},
	Server:     {"server", []string{"url", "service"}},
}

func newFamilies(traefik bool, headers []headerLabel) families {
	ours := func(name, help string, labels ...string) family {
		return family{[]*prometheus.Desc{prometheus.NewDesc(ourPrefix+name, help, labels, nil)}, labels}
	}
	both := func(name, help string, labels ...string) family {
		f := ours(name, help, labels...)
		if traefik {
			f.descs = append(f.descs, prometheus.NewDesc(traefikPrefix+name, help, labels, nil))
		}
		return f
	}
	fs := families{
		reloads:          both("config_reloads_total", "Configurations that took effect."),
		lastReload:       both("config_last_reload_success", "When a configuration last took effect, in Unix seconds."),
		problems:         ours("config_problems", "Problems in the running configuration."),
		kept:             ours("config_kept_objects", "Objects in error whose last good version is in force."),
		connections:      both("open_connections", "Open connections, by entry point and protocol.", "entrypoint", "protocol"),
		rejected:         ours("rejected_requests_total", "Requests refused by the entry point, by the rule they broke.", "entrypoint", "rule"),
		errors:           ours("entrypoint_errors_total", "Requests that the gateway answered itself because of an error, or cut short, by kind of error.", "entrypoint", "kind"),
		accessLogDropped: ours("access_log_dropped_total", "Access log lines that were lost because the disk was slow or full."),
		expiry:           both("tls_certs_not_after", "When a certificate expires, in Unix seconds.", "cn", "serial", "sans"),
		retries:          both("service_retries_total", "Requests to a service beyond the first attempt.", "service"),
		serverUp:         both("service_server_up", "Whether a server gets requests: 1 up, 0 down.", "service", "url"),
		serverInFlight:   ours("server_requests_in_flight", "Requests that a server is working on.", "service", "url"),
	}
	fs.orders = ours("certificate_orders_total", "Certificates ordered, by resolver and result: ok or failed.", "resolver", "result")
	fs.resolverServed = ours("certificate_resolver_served", "Certificates of a resolver that are in use.", "resolver")
	fs.resolverMissing = ours("certificate_resolver_missing_names", "Names that a resolver has no certificate for.", "resolver")
	fs.resolverFailing = ours("certificate_resolver_failing_orders", "Orders of a resolver that failed and will be tried again.", "resolver")
	for kind := EntryPoint; kind < Server; kind++ {
		k := own[kind]
		base := append([]string{"code", "method", "protocol"}, k.labels...)
		of := " of an " + k.name
		if kind != EntryPoint {
			of = " of a " + k.name
		}
		counted := base
		for _, h := range headers {
			counted = append(slices.Clip(counted), h.name)
		}
		fs.requests[kind] = both(k.name+"_requests_total", "HTTP requests"+of+", by status, method and protocol.", counted...)
		fs.tls[kind] = both(k.name+"_requests_tls_total", "HTTP requests over TLS"+of+", by TLS version and cipher suite.",
			append([]string{"tls_version", "tls_cipher"}, k.labels...)...)
		fs.duration[kind] = both(k.name+"_request_duration_seconds", "How long HTTP requests"+of+" took, to the last byte of the response.", base...)
		fs.received[kind] = both(k.name+"_requests_bytes_total", "Bytes of request bodies"+of+".", base...)
		fs.sent[kind] = both(k.name+"_responses_bytes_total", "Bytes of response bodies"+of+".", base...)
	}
	fs.streamErrors = ours("entrypoint_connection_errors_total", "Connections of TCP and UDP routers that did not end in the ordinary way, by kind of error.", "entrypoint", "kind")
	for kind := EntryPoint; kind <= Server; kind++ {
		k := own[kind]
		of := " of TCP and UDP routers, by " + k.name + "."
		labels := append([]string{"protocol"}, k.labels...)
		fs.streamsTotal[kind] = ours(k.name+"_connections_total", "Connections, or UDP sessions,"+of, labels...)
		fs.streamsOpen[kind] = ours(k.name+"_connections_open", "Open connections, or UDP sessions,"+of, labels...)
		fs.streamReceived[kind] = ours(k.name+"_connection_received_bytes_total", "Bytes from clients over connections"+of, labels...)
		fs.streamSent[kind] = ours(k.name+"_connection_sent_bytes_total", "Bytes to clients over connections"+of, labels...)
		fs.streamDuration[kind] = ours(k.name+"_connection_duration_seconds", "How long connections lasted, or UDP sessions,"+of, labels...)
	}
	base := append([]string{"code"}, own[Server].labels...)
	fs.requests[Server] = ours("server_requests_total", "HTTP requests that a server was sent, by its status; 0 when it gave none.", base...)
	fs.duration[Server] = ours("server_request_duration_seconds", "How long a server took to answer with a response head.", base...)
	return fs
}

// pairs makes label pairs of values, sorted by name as Prometheus wants them.
func (f *family) pairs(values ...string) []*dto.LabelPair {
	out := make([]*dto.LabelPair, len(values))
	for i := range values {
		out[i] = &dto.LabelPair{Name: &f.labels[i], Value: &values[i]}
	}
	slices.SortFunc(out, func(a, b *dto.LabelPair) int {
		if *a.Name < *b.Name {
			return -1
		}
		return 1
	})
	return out
}
