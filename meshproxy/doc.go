// Package meshproxy is the node role: a proxy per node that carries the traffic between workloads over
// mutual TLS. This build has none of it: a configuration that asks for it is refused.
package meshproxy
