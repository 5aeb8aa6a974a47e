package gateway

import (
	"context"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/config/static"
	"github.com/pergola-mesh/pergola/internal/handover"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/relay"
)

// mirror is a service whose servers send datagrams back.
type mirror struct{}

// Connect is relay.Service.
func (mirror) Connect(context.Context, *exchange.Stream) (relay.Link, error) {
	near, far := net.Pipe()
	go func() {
		io.Copy(far, far)
		far.Close()
	}()
	return relay.Link{Conn: near}, nil
}

// startUDP runs an entry point for UDP that goes on for an hour after it was told to stop.
func startUDP(t *testing.T) *UDPEntryPoint {
	t.Helper()
	config := &static.EntryPoint{}
	config.SetDefaults()
	config.Address = "127.0.0.1:0/udp"
	config.Transport.LifeCycle = static.LifeCycle{RequestAcceptGraceTimeout: static.Duration(time.Hour)}
	route := &relay.Route{Service: mirror{}}
	e, err := newUDPEntryPoint("dns", config, Options{
		Logger: slog.New(slog.DiscardHandler), Sockets: new(handover.Sockets),
		Datagrams: func(string) *relay.Datagrams {
			return &relay.Datagrams{Name: "dns", Route: func() *relay.Route { return route }, Idle: time.Minute}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	go e.serve()
	return e
}

// TestStopUDPGoesOnAccepting: new clients are served within requestAcceptGraceTimeout.
func TestStopUDPGoesOnAccepting(t *testing.T) {
	e := startUDP(t)
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan struct{})
	go func() {
		e.stop(ctx)
		close(stopped)
	}()
	for range 20 {
		c, err := net.Dial("udp", e.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(20 * time.Second))
		got := make([]byte, 8)
		if _, err := c.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Read(got); err != nil || string(got[:n]) != "hello" {
			t.Fatalf("a client that came within the grace period: %q, %v", got[:n], err)
		}
	}
	cancel()
	<-stopped
}

// TestStopUDPHandedOver: there is no such period when another process accepts.
func TestStopUDPHandedOver(t *testing.T) {
	e := startUDP(t)
	e.StopAccepting()
	e.stop(context.Background())
}
