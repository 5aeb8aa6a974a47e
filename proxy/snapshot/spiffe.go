package snapshot

import (
	"errors"
	"fmt"
	"strings"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/proxy/upstream"
)

// SPIFFE is the gateway's SPIFFE identity.
type SPIFFE interface {
	upstream.SPIFFESource
	// Epoch changes when connections that were made before are not to be used for anything new.
	Epoch() uint64
}

// spiffeClient makes the TLS part of a transport whose servers are known by SPIFFE. Nothing of it waits for
// the gateway's identity: as long as there is none, handshakes fail.
func (b *Builder) spiffeClient(config *dynamic.ServersTransport) (t upstream.TLS, err error) {
	if b.options.SPIFFE == nil {
		return t, errors.New("spiffe: needs spiffe.workloadAPIAddr in the static configuration, where the SPIFFE agent is reached, such as unix:///run/spire/agent.sock")
	}
	if others := besideSPIFFE(config); len(others) > 0 {
		return t, fmt.Errorf("spiffe: stands beside %s, and both sides are known by it alone: remove one or the other", strings.Join(others, ", "))
	}
	t.SPIFFE = &upstream.SPIFFE{
		IDs: config.Spiffe.IDs, TrustDomain: config.Spiffe.TrustDomain, Epoch: b.identityEpoch(), Source: b.options.SPIFFE,
	}
	_, err = t.Config()
	return t, err
}

// besideSPIFFE are the keys that mean nothing beside spiffe.
func besideSPIFFE(c *dynamic.ServersTransport) (keys []string) {
	for _, k := range []struct {
		name string
		set  bool
	}{
		{"serverName", c.ServerName != ""},
		{"insecureSkipVerify", c.InsecureSkipVerify},
		{"rootCAs", len(c.RootCAs) > 0},
		{"certificates", len(c.Certificates) > 0},
		{"cipherSuites", len(c.CipherSuites) > 0},
		{"minVersion", c.MinVersion != ""},
		{"maxVersion", c.MaxVersion != ""},
		{"peerCertURI", c.PeerCertURI != ""},
		{"peerCertSANs", len(c.PeerCertSANs) > 0},
	} {
		if k.set {
			keys = append(keys, k.name)
		}
	}
	return keys
}

// plaintextBesideSPIFFE tells of servers that a service speaks to without TLS, though it knows its servers by SPIFFE.
// transport is the key and name of what says so, remedy what to write to have TLS.
func plaintextBesideSPIFFE(n *node, transport, remedy string, servers []string) {
	if len(servers) == 0 {
		return
	}
	const most = 3
	list := strings.Join(servers[:min(most, len(servers))], ", ")
	if more := len(servers) - most; more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	n.shown.Add(fmt.Sprintf("%s has spiffe, which does nothing for %s: without TLS nobody knows who answers there; %s, or use a serversTransport without spiffe",
		transport, list, remedy), false)
}

// transportKey is where a transport is declared, as its users write it. static is the key of the default one.
func transportKey(name, static string) string {
	if name == defaultTransport {
		return "the static " + static
	}
	return "serversTransport " + name
}

// ownIdentity is the node of the gateway's identity. Its value is the epoch that transports were made of.
var ownIdentity = id{anIdentity, "spiffe"}

// identityEpoch is the epoch of the gateway's identity. The object being built is built again when Refresh
// finds another.
func (b *Builder) identityEpoch() uint64 {
	n := b.graph.node(ownIdentity)
	b.graph.depend(n)
	if n.value == nil {
		n.value = b.options.SPIFFE.Epoch()
	}
	return n.value.(uint64)
}

// replacedIdentity is the node of the gateway's identity, with the epoch of now, if objects were made of
// another; else nil.
func (b *Builder) replacedIdentity() *node {
	n := b.graph.nodes[ownIdentity]
	if n == nil || n.value == b.options.SPIFFE.Epoch() {
		return nil
	}
	n.value = b.options.SPIFFE.Epoch()
	return n
}
