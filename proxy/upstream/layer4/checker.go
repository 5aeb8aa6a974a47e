package layer4

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pergola-mesh/pergola/internal/probe"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/upstream"
)

// HealthCheck probes the servers of a load balancer: by connecting, as streams do, and by what they answer if
// that is stated. Each server is judged by its last probe.
type HealthCheck struct {
	// Port replaces that of the server; 0 keeps it.
	Port int
	// Send is written after connecting; Expect is what the server must then say first.
	Send, Expect string
	// Protocol is "postgres", "mysql" or empty. With one of them TLS begins as it does there, and a probe without
	// Send and Expect asks whether the server takes logins, as User does; DefaultUser when that is empty.
	// Without, and with servers of TLS, it is found out where TLS does not begin at once.
	Protocol, User string
	// Interval between probes of a server that is up; 0 means 30 s. UnhealthyInterval of one that is
	// down; 0 means Interval. Timeout of a probe; 0 means 5 s.
	Interval, UnhealthyInterval, Timeout time.Duration
}

// DefaultUser is the user that probes of a database log in as, without a password.
const DefaultUser = "pergola"

// maxExpect bounds what is waited for, in bytes.
const maxExpect = 64 << 10

// checker probes the servers of one load balancer, each on a goroutine of its own. A nil checker does
// nothing.
type checker struct {
	config HealthCheck
	ctx    context.Context
	cancel context.CancelFunc
	wait   sync.WaitGroup
}

func newChecker(c *HealthCheck) (*checker, error) {
	if c == nil {
		return nil, nil
	}
	k := &checker{config: *c}
	switch {
	case c.Port < 0 || c.Port > 65535:
		return nil, fmt.Errorf("port %d is not from 1 to 65535", c.Port)
	case c.Interval < 0 || c.UnhealthyInterval < 0 || c.Timeout < 0:
		return nil, errors.New("interval, unhealthyInterval and timeout must be positive")
	case checkProtocol(c.Protocol) != nil:
		return nil, checkProtocol(c.Protocol)
	case strings.ContainsRune(c.User, 0):
		return nil, errors.New("user has a zero byte")
	case len(c.Expect) > maxExpect:
		return nil, fmt.Errorf("expect is longer than %d bytes", maxExpect)
	}
	if k.config.Interval == 0 {
		k.config.Interval = upstream.DefaultHealthInterval
	}
	if k.config.UnhealthyInterval == 0 {
		k.config.UnhealthyInterval = k.config.Interval
	}
	if k.config.Timeout == 0 {
		k.config.Timeout = upstream.DefaultHealthTimeout
	}
	if c.User == "" {
		k.config.User = DefaultUser
	}
	k.ctx, k.cancel = context.WithCancel(context.Background())
	return k, nil
}

// start begins to probe m, on behalf of l.
func (k *checker) start(l *loadBalancer, m member) {
	if k == nil {
		return
	}
	loop := probe.Loop{Interval: k.config.Interval, UnhealthyInterval: k.config.UnhealthyInterval, Timeout: k.config.Timeout}
	protocol := k.config.Protocol
	k.wait.Go(func() {
		loop.Run(k.ctx, func(ctx context.Context) (err error) {
			protocol, err = k.find(ctx, l, m, protocol)
			return err
		}, func(err error) { l.judge(m, err) })
	})
}

// stop ends all probes and waits until they have.
func (k *checker) stop() {
	if k == nil {
		return
	}
	k.cancel()
	k.wait.Wait()
}

// judge notes what came of a probe.
func (l *loadBalancer) judge(m member, err error) {
	changed := m.down.Swap(err != nil) != (err != nil)
	if changed || l.stale(m) {
		l.refresh()
	}
	if !changed {
		return
	}
	if err != nil {
		l.registry.options.Logger.Warn("server is down", "service", l.name, "server", m.address, "error", err)
	} else {
		l.registry.options.Logger.Info("server is up", "service", l.name, "server", m.address)
	}
}

// stale reports whether the view has not heard what is known of m: the service that was before on a reload may
// have found it out.
func (l *loadBalancer) stale(m member) bool {
	v := l.view.Load()
	for i := range l.members {
		if l.members[i].endpoint == m.endpoint && v.up[i] == m.down.Load() {
			return true
		}
	}
	return false
}

// find probes m as one that speaks protocol, and returns what it is to be probed as next. What was only found
// out holds for as long as m is healthy.
func (k *checker) find(ctx context.Context, l *loadBalancer, m member, protocol string) (next string, err error) {
	if err = k.probe(ctx, l, m, protocol); err == nil {
		return protocol, nil
	}
	if protocol != k.config.Protocol {
		return "", err
	}
	found := ""
	if protocol == "" && m.tls != nil {
		found = guess(err)
	}
	if found == "" {
		return protocol, err
	}
	if again := k.probe(ctx, l, m, found); again != nil {
		return "", fmt.Errorf("TLS at once: %w; as %s: %w", err, found, again)
	}
	return found, nil
}

// probe returns why m, which speaks protocol, is not healthy.
func (k *checker) probe(ctx context.Context, l *loadBalancer, m member, protocol string) error {
	address := m.address
	if k.config.Port != 0 {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return err
		}
		address = net.JoinHostPort(host, strconv.Itoa(k.config.Port))
	}
	s := &exchange.Stream{Conn: &exchange.Conn{}} // a PROXY header then names nobody
	var talk dialogue
	if protocol != "" {
		talk = dialogues[protocol](k.config.User)
		s.Begin = talk.begin
	}
	c, err := l.dialer.dial(ctx, l.network, address, m.tls, s)
	if err != nil {
		return err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(past) })
	defer stop()
	if talk != nil && k.config.Send == "" && k.config.Expect == "" {
		return talk.login(c)
	}
	return k.ask(c)
}

// ask returns why a server does not say what is expected.
func (k *checker) ask(c net.Conn) error {
	if k.config.Send != "" {
		if _, err := io.WriteString(c, k.config.Send); err != nil {
			return err
		}
	}
	if k.config.Expect == "" {
		return nil
	}
	answer := make([]byte, len(k.config.Expect))
	if n, err := io.ReadFull(c, answer); err != nil {
		return fmt.Errorf("the server said %.64q, and then: %w", answer[:n], err)
	}
	if string(answer) != k.config.Expect {
		return fmt.Errorf("the server said %.64q", answer)
	}
	return nil
}
