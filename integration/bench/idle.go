//go:build linux

package main

import (
	"fmt"
	"time"
)

// memory is the resident memory of one product, in bytes.
type memory struct {
	Rest        int64 `json:"rest"` // started, one request answered
	Load        int64 `json:"load"` // the highest seen under load
	Connections int   `json:"connections"`
	Idle        int64 `json:"idle"` // with that many idle keep-alive connections
	// PerConnection is the slope of the second half of the connections; PerTLS and PerHTTP2 are that of
	// connections of TLS, and of HTTP/2 in plaintext.
	PerConnection float64 `json:"perConnection"`
	PerTLS        float64 `json:"perTLS"`
	PerHTTP2      float64 `json:"perHTTP2"`
}

// settleTime lets a proxy give back what it holds no longer before its memory is read.
const settleTime = 5 * time.Second

// measureIdle starts each product afresh, again and again, so that nothing an earlier load left behind hides
// growth.
func (b *bench) measureIdle() error {
	chain, key := newCertificate()
	for _, p := range b.products {
		m := memory{Connections: b.idle}
		few := memory{Connections: b.idle * 2 / 5} // handshakes take long
		err := b.measureIdleConnections(p, &m, nil, openIdle)
		if err == nil {
			err = b.measureIdleConnections(p, &few, func(s *settings) { s.secure(chain, key) }, openIdle)
			m.PerTLS = few.PerConnection
		}
		if err == nil {
			err = b.measureIdleConnections(p, &few, (*settings).speakHTTP2, openIdleHTTP2)
			m.PerHTTP2 = few.PerConnection
		}
		if err == nil {
			err = b.measurePeak(p, &m)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		b.report.Memory[p.name] = m
	}
	return nil
}

// measureIdleConnections fills in m's Rest, Idle and PerConnection, with connections that open makes.
func (b *bench) measureIdleConnections(p product, m *memory, change func(*settings), open func(*instance, int) (idler, error)) error {
	i, err := b.start(p, change)
	if err != nil {
		return err
	}
	defer i.stop()
	time.Sleep(time.Second)
	if m.Rest, err = i.memory(); err != nil {
		return err
	}
	var conns []idler
	defer func() {
		for _, conn := range conns {
			conn.Close()
		}
	}()
	var half int64
	for _, want := range []int{m.Connections / 2, m.Connections} {
		for len(conns) < want {
			conn, err := open(i, len(conns))
			if err != nil {
				return fmt.Errorf("idle connection %d: %w", len(conns)+1, err)
			}
			conns = append(conns, conn)
		}
		time.Sleep(settleTime)
		half = m.Idle
		if m.Idle, err = i.memory(); err != nil {
			return err
		}
	}
	m.PerConnection = float64(m.Idle-half) / float64(m.Connections-m.Connections/2)
	for _, conn := range []idler{conns[0], conns[len(conns)-1]} {
		if err := conn.ask(); err != nil {
			return fmt.Errorf("a connection did not survive being idle: %w", err)
		}
	}
	return nil
}

// measurePeak sets m.Load to the most memory seen in three seconds of 256 busy connections.
func (b *bench) measurePeak(p product, m *memory) error {
	i, err := b.start(p, nil)
	if err != nil {
		return err
	}
	defer i.stop()
	done := make(chan error, 1)
	go func() {
		_, err := b.wrk(i, load{Name: "128 B, c=256", Connections: 256, Path: "/api/128", Size: 128}, 3*time.Second)
		done <- err
	}()
	for {
		select {
		case err := <-done:
			return err
		case <-time.After(100 * time.Millisecond):
			now, err := i.memory()
			if err != nil {
				return err
			}
			m.Load = max(m.Load, now)
		}
	}
}
