package upstream

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/pergola-mesh/pergola/internal/probe"
)

// checker probes the endpoints of one load balancer, each on a goroutine of its own. A nil checker
// does nothing.
type checker struct {
	config HealthCheck
	http   *http.Client
	http2  *http.Client // for gRPC, and for servers whose URL begins with h2c
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
	for _, client := range []struct {
		is    **http.Client
		http2 bool
	}{{&k.http, false}, {&k.http2, true}} {
		tripper, err := r.options.Probes(transport, client.http2)
		if err != nil {
			return nil, fmt.Errorf("healthCheck: %w", err)
		}
		*client.is = &http.Client{Transport: tripper}
		if !c.FollowRedirects {
			(*client.is).CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		}
	}
	k.ctx, k.cancel = context.WithCancel(context.Background())
	return k, nil
}

// newProbeTransport makes connections as the service's own, each for one probe: that a server accepts
// connections is a part of what is checked. With http2 it speaks that alone, over TLS or not.
func newProbeTransport(t *Transport, http2 bool) (http.RoundTripper, error) {
	config, err := t.TLS.Config()
	if err != nil {
		return nil, err
	}
	var protocols http.Protocols
	protocols.SetHTTP1(!http2)
	protocols.SetHTTP2(http2)
	protocols.SetUnencryptedHTTP2(http2)
	return &http.Transport{
		Protocols:              &protocols,
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
	loop := probe.Loop{Interval: k.config.Interval, UnhealthyInterval: k.config.UnhealthyInterval, Timeout: k.config.Timeout}
	k.wait.Go(func() {
		loop.Run(k.ctx, func(ctx context.Context) error { return k.probe(ctx, e) }, func(err error) { e.setDown(err != nil, err) })
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

// probe returns why e is not healthy.
func (k *checker) probe(ctx context.Context, e *endpoint) error {
	request, err := k.request(ctx, e.url)
	if err != nil {
		return err
	}
	client, judge := k.http, k.judge
	if k.config.Mode == "grpc" {
		client, judge = k.http2, judgeGRPC
	}
	if request.URL.Scheme == "h2c" {
		request.URL.Scheme, client = "http", k.http2
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	// A server that cannot send what it answers is not well, whatever it says.
	body, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return err
	}
	return judge(response, body)
}

// judge returns why an answer speaks against the server.
func (k *checker) judge(response *http.Response, _ []byte) error {
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
	method, path, body := k.config.Method, k.config.Path, io.Reader(nil)
	if k.config.Mode == "grpc" {
		method, path, body = http.MethodPost, grpcCheckPath, strings.NewReader(grpcCheckMessage)
	}
	if u, err = u.Parse(path); err != nil {
		return nil, err
	}
	if k.config.Scheme != "" {
		u.Scheme = k.config.Scheme
	}
	if k.config.Port != 0 {
		u.Host = net.JoinHostPort(u.Hostname(), strconv.Itoa(k.config.Port))
	}
	request, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return nil, err
	}
	if k.config.Mode == "grpc" {
		request.Header.Set("Content-Type", "application/grpc")
		request.Header.Set("Te", "trailers")
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
