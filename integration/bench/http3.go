//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// http3Loads are of HTTP/3 from the client and HTTP/1.1 to the backend.
var http3Loads = []load{
	{Name: "HTTP/3, 128 B, c=8, 10 streams each", Connections: 8, Streams: 10, HTTP3: true, Path: "/api/128", Size: 128},
	{Name: "HTTP/3, 128 B, c=8, 1 stream each", Connections: 8, Streams: 1, HTTP3: true, Path: "/api/128", Size: 128},
	{Name: "HTTP/3, 10 KiB, c=8, 10 streams each", Connections: 8, Streams: 10, HTTP3: true, Path: "/api/10k", Size: 10 << 10},
	{Name: "HTTP/3, 1 MiB, c=8, 1 stream each", Connections: 8, Streams: 1, HTTP3: true, Path: "/api/1m", Size: 1 << 20},
}

// measureHTTP3 compares HTTP/3 with those that speak it. Debian's nginx and HAProxy do not.
func (b *bench) measureHTTP3() error {
	all := b.products
	defer func() { b.products = all }()
	b.products = nil
	for _, p := range all {
		if p.http3 {
			b.products = append(b.products, p)
		}
	}
	chain, key := newCertificate()
	return b.compare("bare", http3Loads, b.rounds, func(s *settings) {
		s.HTTP3 = true
		s.secure(chain, key)
	})
}

// quicLoad drives a load over HTTP/3, from this program: no generator in Debian can. An error of any
// request, or a byte too few, is an error.
func (b *bench) quicLoad(i *instance, l load, duration time.Duration) (wrkResult, error) {
	ctx, cancel := context.WithTimeout(b.ctx, duration+30*time.Second)
	defer cancel()
	var done, failed atomic.Int64
	var first atomic.Pointer[error]
	var all sync.WaitGroup
	began := time.Now()
	for range l.Connections {
		transport := i.http3()
		defer transport.Close()
		for range l.Streams {
			all.Go(func() {
				for time.Since(began) < duration && failed.Load() == 0 {
					if err := askHTTP3(ctx, transport, fmt.Sprintf("https://%s%s", host, l.Path), l.Size); err != nil {
						failed.Add(1)
						first.CompareAndSwap(nil, &err)
						return
					}
					done.Add(1)
				}
			})
		}
	}
	all.Wait()
	elapsed := time.Since(began)
	if err := first.Load(); err != nil {
		return wrkResult{}, *err
	}
	if done.Load() == 0 {
		return wrkResult{}, fmt.Errorf("no answer in %s", elapsed)
	}
	return wrkResult{Requests: done.Load(), Micros: elapsed.Microseconds(), Bytes: done.Load() * l.Size}, nil
}

// http3 is a connection to the instance over QUIC.
func (i *instance) http3() *http3.Transport {
	return &http3.Transport{
		TLSClientConfig:    &tls.Config{ServerName: host, InsecureSkipVerify: true},
		DisableCompression: true,
		Dial: func(ctx context.Context, _ string, tc *tls.Config, qc *quic.Config) (*quic.Conn, error) {
			return quic.DialAddr(ctx, fmt.Sprintf("127.0.0.1:%d", i.Port), tc, qc)
		},
	}
}

// askHTTP3 sends one request and reads its answer, which has so many bytes.
func askHTTP3(ctx context.Context, transport *http3.Transport, url string, size int64) error {
	request, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		return err
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	n, err := io.Copy(io.Discard, response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != 200 || n != size {
		return fmt.Errorf("%s, %d bytes of %d", response.Status, n, size)
	}
	return nil
}
