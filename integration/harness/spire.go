//go:build linux

package harness

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// SPIRE is a SPIFFE server with one agent, of the trust domain example.org.
type SPIRE struct {
	Agent string // path of the agent's socket

	t         testing.TB
	directory string
	address   string // the server's
	control   string // path of the socket by which it is told things
}

// spireNode is the agent's own identity.
const spireNode = "spiffe://example.org/node"

// StartSPIRE runs a server until the test ends, and no agent yet.
func StartSPIRE(t testing.TB) *SPIRE {
	t.Helper()
	directory := t.TempDir()
	s := &SPIRE{t: t, directory: directory, address: FreeAddress(t), Agent: filepath.Join(directory, "agent.sock"), control: filepath.Join(directory, "server.sock")}
	config := s.write("server.conf", fmt.Sprintf(`
server {
  bind_address = "127.0.0.1"
  bind_port = "%d"
  socket_path = %q
  trust_domain = "example.org"
  data_dir = %q
  log_level = "WARN"
  ca_ttl = "24h"
}
plugins {
  DataStore "sql" { plugin_data { database_type = "sqlite3" connection_string = %q } }
  NodeAttestor "join_token" { plugin_data {} }
  KeyManager "memory" { plugin_data {} }
}
`, port(t, s.address), s.control, directory, filepath.Join(directory, "server.db")))
	Process(t, s.control, nil, Tool(t, "spire", "spire-server"), "run", "-config", config)
	return s
}

// StartAgent runs the agent until the test ends.
func (s *SPIRE) StartAgent() {
	s.t.Helper()
	var token struct{ Value string }
	s.command(&token, "token", "generate", "-spiffeID", spireNode)
	config := s.write("agent.conf", fmt.Sprintf(`
agent {
  data_dir = %q
  log_level = "WARN"
  trust_domain = "example.org"
  server_address = "127.0.0.1"
  server_port = "%d"
  socket_path = %q
  insecure_bootstrap = true
}
plugins {
  NodeAttestor "join_token" { plugin_data {} }
  KeyManager "memory" { plugin_data {} }
  WorkloadAttestor "unix" { plugin_data {} }
}
`, filepath.Join(s.directory, "agent"), port(s.t, s.address), s.Agent))
	Process(s.t, s.Agent, nil, Tool(s.t, "spire", "spire-agent"), "run", "-config", config, "-joinToken", token.Value)
}

// Register has the agent give an identity, in certificates that live for ttl, to the processes of the test's
// user. It returns what Unregister takes that back by.
func (s *SPIRE) Register(id string, ttl time.Duration) string {
	s.t.Helper()
	var made struct {
		Results []struct{ Entry struct{ ID string } }
	}
	s.command(&made, "entry", "create", "-spiffeID", id, "-parentID", spireNode, "-selector", fmt.Sprintf("unix:uid:%d", os.Getuid()),
		"-x509SVIDTTL", fmt.Sprint(int(ttl.Seconds())))
	return made.Results[0].Entry.ID
}

// Unregister takes an identity back.
func (s *SPIRE) Unregister(entry string) {
	s.t.Helper()
	s.command(nil, "entry", "delete", "-entryID", entry)
}

// Mint makes an identity for a server of the test's own, and returns whom it may know clients by.
func (s *SPIRE) Mint(id string) (tls.Certificate, *x509.CertPool) {
	s.t.Helper()
	directory := s.t.TempDir()
	s.command(nil, "x509", "mint", "-spiffeID", id, "-ttl", "12h", "-write", directory)
	pair, err := tls.LoadX509KeyPair(filepath.Join(directory, "svid.pem"), filepath.Join(directory, "key.pem"))
	if err != nil {
		s.t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(directory, "bundle.pem"))
	pool := x509.NewCertPool()
	if err != nil || !pool.AppendCertsFromPEM(text) {
		s.t.Fatalf("the authorities of the trust domain: %v", err)
	}
	return pair, pool
}

// PrepareAuthority makes another authority beside the one in force, which is trusted and issues nothing yet.
// It returns a function that has it take the place of the other, which is trusted no more.
func (s *SPIRE) PrepareAuthority() (replace func()) {
	s.t.Helper()
	type authority struct {
		ID string `json:"authority_id"`
	}
	var now struct{ Active authority }
	var next struct {
		Prepared authority `json:"prepared_authority"`
	}
	s.command(&now, "localauthority", "x509", "show")
	s.command(&next, "localauthority", "x509", "prepare")
	return func() {
		s.t.Helper()
		s.command(nil, "localauthority", "x509", "activate", "-authorityID", next.Prepared.ID)
		s.command(nil, "localauthority", "x509", "taint", "-authorityID", now.Active.ID)
		s.command(nil, "localauthority", "x509", "revoke", "-authorityID", now.Active.ID)
	}
}

// command has the server do something, and reads what it answers into result unless that is nil.
func (s *SPIRE) command(result any, arguments ...string) {
	s.t.Helper()
	arguments = append(arguments, "-socketPath", s.control)
	if result != nil {
		arguments = append(arguments, "-output", "json")
	}
	command := exec.Command(Tool(s.t, "spire", "spire-server"), arguments...)
	output, err := command.Output()
	if err == nil && result != nil {
		err = json.Unmarshal(output, result)
	}
	if err != nil {
		s.t.Fatalf("spire-server %q: %v\n%s", arguments, err, output)
	}
}

func (s *SPIRE) write(name, text string) string {
	s.t.Helper()
	path := filepath.Join(s.directory, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}
