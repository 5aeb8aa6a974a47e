package spiffetest

import (
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Agent serves the Workload API by gRPC's own server. It denies everybody an identity until Give.
type Agent struct {
	workload.UnimplementedSpiffeWorkloadAPIServer
	Path string // of the socket

	t  testing.TB
	mu sync.Mutex // guards the rest
	// answer is nil for denial; said is closed when there is another.
	answer *workload.X509SVIDResponse
	said   chan struct{}
	server *grpc.Server
	calls  int
}

// NewAgent makes an agent that is not there until Start.
func NewAgent(t testing.TB) *Agent {
	t.Helper()
	dir, err := os.MkdirTemp("", "agent") // the test's own directory may have too long a name for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return &Agent{t: t, Path: filepath.Join(dir, "agent.sock"), said: make(chan struct{})}
}

// URL is the agent's address.
func (a *Agent) URL() string { return "unix://" + a.Path }

// Start has the agent serve until Stop or the end of the test.
func (a *Agent) Start() {
	a.t.Helper()
	listener, err := net.Listen("unix", a.Path)
	if err != nil {
		a.t.Fatal(err)
	}
	server := grpc.NewServer()
	workload.RegisterSpiffeWorkloadAPIServer(server, a)
	a.mu.Lock()
	a.server = server
	a.mu.Unlock()
	go server.Serve(listener)
	a.t.Cleanup(server.Stop)
}

// Stop ends the agent and all calls.
func (a *Agent) Stop() {
	a.mu.Lock()
	server := a.server
	a.mu.Unlock()
	server.Stop()
}

// Give has clients told of an identity, its trust domain and those that it federates with.
func (a *Agent) Give(id *x509svid.SVID, own *Domain, federated ...*Domain) {
	a.t.Helper()
	chain, key, err := id.MarshalRaw()
	if err != nil {
		a.t.Fatal(err)
	}
	answer := &workload.X509SVIDResponse{
		Svids: []*workload.X509SVID{{
			SpiffeId: id.ID.String(), X509Svid: chain, X509SvidKey: key, Bundle: own.Authority.Certificate.Raw,
		}},
		FederatedBundles: map[string][]byte{},
	}
	for _, d := range federated {
		answer.FederatedBundles["spiffe://"+d.Name] = d.Authority.Certificate.Raw
	}
	a.Answer(answer)
}

// Answer has clients told anything; nil denies them an identity.
func (a *Agent) Answer(answer *workload.X509SVIDResponse) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answer = answer
	close(a.said)
	a.said = make(chan struct{})
}

// Calls is how often the agent has been asked.
func (a *Agent) Calls() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.calls
}

// FetchX509SVID is the Workload API's.
func (a *Agent) FetchX509SVID(_ *workload.X509SVIDRequest, stream grpc.ServerStreamingServer[workload.X509SVIDResponse]) error {
	if m, _ := metadata.FromIncomingContext(stream.Context()); len(m["workload.spiffe.io"]) != 1 || m["workload.spiffe.io"][0] != "true" {
		return status.Error(codes.InvalidArgument, "security header missing from request")
	}
	a.mu.Lock()
	a.calls++
	a.mu.Unlock()
	for {
		a.mu.Lock()
		answer, said := a.answer, a.said
		a.mu.Unlock()
		if answer == nil {
			return status.Error(codes.PermissionDenied, "no identity issued")
		}
		if err := stream.Send(answer); err != nil {
			return err
		}
		select {
		case <-said:
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}
