package static

import "github.com/pergola-mesh/pergola/config/load"

// unbuilt is what is known of the static configuration and missing from this build. A row goes when
// its feature comes.
var unbuilt = []load.Unbuilt{
	{Key: "entryPoints.*.forwardedHeaders.connection", Feature: "Connection headers for middlewares"},
	{Key: "providers.consulCatalog", Feature: "the Consul catalogue provider"},
	{Key: "providers.consul", Feature: "the Consul key-value provider"},
	{Key: "providers.kubernetesIngress", Feature: "the Kubernetes Ingress provider"},
	{Key: "providers.kubernetesCRD", Feature: "the Kubernetes CRD provider"},
	{Key: "providers.kubernetesGateway", Feature: "the Kubernetes Gateway API provider"},
	{Key: "providers.kubernetesIngressNGINX", Feature: "the Kubernetes Ingress NGINX provider"},
	{Key: "providers.knative", Feature: "the Knative provider"},
	{Key: "providers.http", Feature: "the HTTP provider"},
	{Key: "providers.rest", Feature: "the REST provider"},
	{Key: "providers.docker", Feature: "the Docker provider"},
	{Key: "providers.swarm", Feature: "the Docker Swarm provider"},
	{Key: "providers.ecs", Feature: "the ECS provider"},
	{Key: "providers.nomad", Feature: "the Nomad provider"},
	{Key: "providers.redis", Feature: "the Redis provider"},
	{Key: "providers.etcd", Feature: "the etcd provider"},
	{Key: "providers.zooKeeper", Feature: "the ZooKeeper provider"},
	{Key: "providers.plugin", Feature: "plugin providers"},
	{Key: "metrics.otlp", Feature: "OpenTelemetry metrics"},
	{Key: "metrics.datadog", Feature: "Datadog metrics"},
	{Key: "metrics.statsD", Feature: "StatsD metrics"},
	{Key: "metrics.influxDB2", Feature: "InfluxDB metrics"},
	{Key: "log.otlp", Feature: "OpenTelemetry logs"},
	{Key: "accessLog.otlp", Feature: "OpenTelemetry logs"},
	{Key: "accessLog.dualOutput", Feature: "OpenTelemetry logs"},
	{Key: "tracing", Feature: "tracing"},
	{Key: "certificatesResolvers.*.tailscale", Feature: "certificates from Tailscale"},
	{Key: "hostResolver", Feature: "CNAME flattening"},
	{Key: "experimental", Feature: "plugins and experimental features"},
}
