//go:build linux

package integration

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/integration/harness"
)

var restartable = strings.Replace(oneBackend, "entryPoints:", "restart: {socket: $DIR/restart.sock}\nentryPoints:", 1)

// everyProtocol is overTLS, HTTP/3 too, TLS that passes through and TLS that ends here on one port, with TCP and
// UDP on two more.
var everyProtocol = strings.Replace(overTLS, "entryPoints:\n  web:\n    address: $WEB\n", `restart: {socket: $DIR/restart.sock}
entryPoints:
  web:
    address: $WEB
    asDefault: true
    http3: {}
    transport: {lifeCycle: {graceTimeOut: $GRACE}}
  tcp:
    address: $TCP
    transport: {lifeCycle: {graceTimeOut: $GRACE}}
  udp: {address: $UDP/udp}
`, 1) + `
-- dynamic/layer4.yaml --
tcp:
  routers:
    passed: {entryPoints: [web], rule: HostSNI(~passed.test~), service: passed, tls: {passthrough: true}}
    ended: {entryPoints: [web], rule: HostSNI(~ended.test~), service: echo, tls: {}}
    plain: {entryPoints: [tcp], rule: HostSNI(~*~), service: echo}
  services:
    passed: {loadBalancer: {servers: [{address: $PASSED}]}}
    echo: {loadBalancer: {servers: [{address: $ECHO}]}}
udp:
  routers:
    udp: {entryPoints: [udp], service: udp}
  services:
    udp: {loadBalancer: {servers: [{address: $DATAGRAMS}]}}
`

// TestHundredUpgrades upgrades the gateway with SIGUSR2 a hundred times while clients of every protocol make
// new connections, resume sessions, and keep connections that outlast many upgrades. None is refused, nothing
// fails or is cut, sessions of the first process are resumed by every later one, each process ends with status
// 0 as soon as its last connection has ended, and the last one has no more memory and descriptors than the first.
func TestHundredUpgrades(t *testing.T) {
	const (
		upgrades = 100
		every    = 10 // upgrades between one long transfer's beginning and the next's
		lasting  = 25 // upgrades
	)
	m := startMixed(t, "10m")
	m.keepSessions()
	u := m.Upgrading()
	tunnels := m.openTunnels()
	m.begin()
	long := []*transfer{m.transfer(u.Pid(), upgrades+1)}

	var times []time.Duration
	var first, last harness.Usage
	most := 0
	for i := 1; i <= upgrades; i++ {
		times = append(times, u.Next())
		m.resume(u.Pid())
		for _, s := range tunnels {
			s.echo(fmt.Sprintf("process %d serves", i))
		}
		m.awaitSome()
		long = slices.DeleteFunc(long, func(f *transfer) bool {
			if f.until == i {
				f.end(t)
			}
			return f.until == i
		})
		if i%every == 0 && i < upgrades {
			long = append(long, m.transfer(u.Pid(), i+lasting))
		}
		most = max(most, len(u.Alive()))
		now, err := u.UsageOf(u.Pid())
		if err != nil {
			t.Fatal(err)
		}
		if i == 1 {
			first = now
		}
		last = now
	}
	slices.Sort(times)
	t.Logf("%d upgrades, by the median in %v, at most in %v, %d processes at most at a time; the first: %+v, the last: %+v",
		upgrades, times[len(times)/2], times[len(times)-1], most, first, last)

	// Of the old processes those remain which have long connections. A client of QUIC that has gone, and whose
	// goodbye was lost, keeps its process until it has been silent for a minute.
	const gone = 90 * time.Second
	holders := []int{u.Pid()}
	for _, f := range long {
		holders = append(holders, f.holder)
	}
	slices.Sort(holders)
	harness.EventuallyIn(t, gone, fmt.Sprintf("all processes but %v to end, which alone have connections", holders), func() bool {
		return slices.Equal(u.Alive(), holders)
	})
	m.mustNotFail(2 * upgrades)
	for _, f := range long {
		f.end(t)
	}
	for _, s := range tunnels {
		s.echo("the last process serves")
		s.close()
	}
	harness.EventuallyIn(t, gone, "all processes but the last to end", func() bool { return len(u.Alive()) == 1 })
	if last.Descriptors > first.Descriptors+20 || last.Resident > 2*first.Resident {
		t.Errorf("the last process has %+v, the first successor had %+v", last, first)
	}
	u.End()
}

// A request in flight is finished by the process that began it; a successor that cannot start changes
// nothing, and one with another configuration takes its own addresses over.
func TestRestartEdges(t *testing.T) {
	backend, begun, finish := slowBackend(t)
	g := harness.Start(t, restartable, harness.Vars{"BACKEND": backend})
	g.AwaitStatus("/", 200)

	// The address of a new entry point is taken: the successor gives up.
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	static, err := os.ReadFile(g.Dir + "/static.yaml")
	if err != nil {
		t.Fatal(err)
	}
	g.Write("static.yaml", strings.Replace(string(static), "entryPoints:", fmt.Sprintf("entryPoints:\n  extra: {address: %q}", taken.Addr()), 1))
	output, code := harness.Command(t, g.Dir, "--configFile=static.yaml")
	if code != 1 || !strings.Contains(output, "entry point extra") || !strings.Contains(output, "another process listens there") {
		t.Errorf("a successor without its address ended with %d:\n%s", code, output)
	}
	g.AwaitStatus("/", 200)
	harness.Eventually(t, "the log to tell", func() bool { return strings.Contains(g.Log(), "serving on") })

	taken.Close()
	slow := harness.Dial(t, g.Web)
	slow.Send("GET /slow HTTP/1.1\nHost: x\n\n")
	harness.Within(t, "the slow request at the backend", begun)
	next := g.Replace()
	fresh := harness.Dial(t, taken.Addr().String())
	fresh.Send("GET / HTTP/1.1\nHost: x\n\n")
	if response, _ := fresh.Response("GET"); response.StatusCode != 200 {
		t.Errorf("the new entry point answered %s", response.Status)
	}
	close(finish)
	if response, body := slow.Response("GET"); response.StatusCode != 200 || body != "complete" || !response.Close {
		t.Errorf("the request in flight got %s %q, close %v", response.Status, body, response.Close)
	}
	if code := g.AwaitExit(); code != 0 {
		t.Errorf("the first process ended with %d", code)
	}

	// SIGUSR2 starts the program anew.
	u := next.Upgrading()
	u.Next()
	next.AwaitStatus("/", 200)
	u.End()
}
