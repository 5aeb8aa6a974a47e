//go:build linux

package harness

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

// A Load keeps doing something, such as sending requests, from several workers until it is stopped.
type Load struct {
	Done atomic.Int64 // how often that went as it should

	stop     context.CancelFunc
	workers  sync.WaitGroup
	mu       sync.Mutex
	failures []string
}

// Check judges one answer, with its body read to the end; an error counts as a failure.
type Check func(response *http.Response, body []byte) error

// WantStatus is the Check that looks at the status alone.
func WantStatus(status int) Check {
	return func(response *http.Response, body []byte) error {
		if response.StatusCode != status {
			return fmt.Errorf("%s: %.200s", response.Status, body)
		}
		return nil
	}
}

// NewLoad starts workers that each send request after request, as next makes them. Requests that are under
// way when it is stopped are still awaited and judged.
func NewLoad(t testing.TB, workers int, next func() *http.Request, check Check) *Load {
	return NewTLSLoad(t, workers, nil, next, check)
}

// NewTLSLoad is NewLoad with a configuration for requests over TLS, and HTTP/2 if it offers h2.
func NewTLSLoad(t testing.TB, workers int, config *tls.Config, next func() *http.Request, check Check) *Load {
	transport := &http.Transport{MaxIdleConnsPerHost: workers, TLSClientConfig: config,
		ForceAttemptHTTP2: config != nil && slices.Contains(config.NextProtos, "h2")}
	t.Cleanup(transport.CloseIdleConnections)
	return NewLoadOver(t, workers, transport, next, check)
}

// NewLoadOver is NewLoad with a transport of the caller's.
func NewLoadOver(t testing.TB, workers int, transport http.RoundTripper, next func() *http.Request, check Check) *Load {
	client := &http.Client{Transport: transport, Timeout: Patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return Repeat(t, workers, func() error { return send(client, next(), check) })
}

// Repeat starts workers that each do something again and again. What is under way when they are stopped is
// still awaited and judged.
func Repeat(t testing.TB, workers int, do func() error) *Load {
	ctx, stop := context.WithCancel(context.Background())
	l := &Load{stop: stop}
	for range workers {
		l.workers.Go(func() {
			for ctx.Err() == nil {
				if err := do(); err != nil {
					l.fail(err)
				} else {
					l.Done.Add(1)
				}
			}
		})
	}
	t.Cleanup(func() { l.Stop() })
	return l
}

func send(client *http.Client, request *http.Request, check Check) error {
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("body of %s: %w", request.URL, err)
	}
	return check(response, body)
}

func (l *Load) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failures = append(l.failures, err.Error())
}

// Stop ends the load and returns what has failed.
func (l *Load) Stop() []string {
	l.stop()
	l.workers.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failures
}

// MustNotFail stops the load and fails the test when anything failed, or was done less often than least.
func (l *Load) MustNotFail(t testing.TB, least int64) {
	t.Helper()
	failures := l.Stop()
	if len(failures) > 0 {
		t.Errorf("%d failed beside %d that did not; the first: %s", len(failures), l.Done.Load(), failures[0])
	}
	if done := l.Done.Load(); done < least {
		t.Errorf("%d were done: too few (under %d) to show anything", done, least)
	}
}
