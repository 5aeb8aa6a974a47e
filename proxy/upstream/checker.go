package upstream

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"
)

// checker probes the endpoints of one load balancer, each on a goroutine of its own. A nil checker
// does nothing.
type checker struct {
	config HealthCheck
	client *http.Client
	ctx    context.Context
	cancel context.CancelFunc
	wait   sync.WaitGroup
}

func (r *Registry) newChecker(c *HealthCheck, transport *Transport) (*checker, error) {
	if c == nil {
		return nil, nil
	}
	k := &checker{config: *c}
	if err := k.config.complete(); err != nil {
		return nil, fmt.Errorf("healthCheck: %w", err)
	}
	tripper, err := r.probes(transport)
	if err != nil {
		return nil, fmt.Errorf("healthCheck: %w", err)
	}
	k.client = &http.Client{Transport: tripper}
	if !c.FollowRedirects {
		k.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	k.ctx, k.cancel = context.WithCancel(context.Background())
	return k, nil
}

// newProbeTransport makes connections as the service's own, each for one probe: that a server accepts
// connections is a part of what is checked.
func newProbeTransport(t *Transport) (http.RoundTripper, error) {
	config, err := t.TLS.Config()
	if err != nil {
		return nil, err
	}
	return &http.Transport{
		DialContext:            (&net.Dialer{Timeout: t.DialTimeout}).DialContext,
		TLSClientConfig:        config,
		ResponseHeaderTimeout:  t.ResponseHeaderTimeout,
		MaxResponseHeaderBytes: 64 << 10,
		DisableKeepAlives:      true,
		DisableCompression:     true,
	}, nil
}

// start begins to probe e.
func (k *checker) start(e *endpoint) {
	if k == nil {
		return
	}
	k.wait.Go(func() { k.run(e) })
}

// stop ends all probes and waits until they have.
func (k *checker) stop() {
	if k == nil {
		return
	}
	k.cancel()
	k.wait.Wait()
}

// run probes e until the checker stops. The first probe comes within a second, not at once, and
// intervals vary by a tenth, so that a thousand servers are not all probed in the same moment.
func (k *checker) run(e *endpoint) {
	pause := time.Duration(rand.Float64() * float64(min(k.config.Interval, time.Second)))
	for k.sleep(pause) {
		err := k.probe(e)
		if k.ctx.Err() != nil {
			return
		}
		e.setDown(err != nil, err)
		pause = k.config.Interval
		if err != nil {
			pause = k.config.UnhealthyInterval
		}
		pause = time.Duration(float64(pause) * (0.95 + rand.Float64()/10))
	}
}

// sleep reports whether it was not interrupted.
func (k *checker) sleep(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-k.ctx.Done():
		return false
	}
}

// probe returns why e is not healthy.
func (k *checker) probe(e *endpoint) error {
	ctx, cancel := context.WithTimeout(k.ctx, k.config.Timeout)
	defer cancel()
	request, err := k.request(ctx, e.url)
	if err != nil {
		return err
	}
	response, err := k.client.Do(request)
	if err != nil {
		return err
	}
	// What the body says does not matter, but a server that cannot send it is not well.
	_, err = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10))
	response.Body.Close()
	if err != nil {
		return err
	}
	got, want := response.StatusCode, k.config.Status
	if want == 0 && (got < 200 || got >= 400) || want != 0 && got != want {
		return fmt.Errorf("the server answered %s", response.Status)
	}
	return nil
}

func (k *checker) request(ctx context.Context, server string) (*http.Request, error) {
	u, err := url.Parse(server)
	if err != nil {
		return nil, err
	}
	if u, err = u.Parse(k.config.Path); err != nil {
		return nil, err
	}
	if k.config.Scheme != "" {
		u.Scheme = k.config.Scheme
	}
	if k.config.Port != 0 {
		u.Host = net.JoinHostPort(u.Hostname(), strconv.Itoa(k.config.Port))
	}
	request, err := http.NewRequestWithContext(ctx, k.config.Method, u.String(), nil)
	if err != nil {
		return nil, err
	}
	request.Host = k.config.Hostname
	for name, value := range k.config.Headers {
		if http.CanonicalHeaderKey(name) == "Host" {
			request.Host = value
			continue
		}
		request.Header.Set(name, value)
	}
	return request, nil
}
