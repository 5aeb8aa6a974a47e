// Package upstream is the far side of the proxy: services, the servers they choose from, and what is
// known of each server.
//
// A Registry makes services from their configuration. A service is an exchange.Handler; the servers of
// a load balancer are Endpoints, whose health, load and connections outlive a reload: a new service
// that names the same server of the same service gets the same endpoint. So a snapshot is built with
// new services first, and the old ones that it replaces are closed afterwards. An endpoint that no
// service names any more drains: its requests end, then its connections are closed.
//
// # Health
//
// A server is up when it is first seen: traffic does not wait for the first check. Active checks take
// it down and bring it back; a service whose servers are all down answers NoEndpoint. Failing requests
// eject a server for a while; because they are only a hint, ejections are ignored when they would leave
// less than a third of the servers that are up.
//
// # Retries
//
// A request that did not reach a server because there was no connection goes to another server, up to
// three in all. A request that may have reached one goes to another only when it is idempotent, all of
// its content is in memory, and the connection broke before an answer; such retries are at most a fifth
// of the requests.
package upstream
