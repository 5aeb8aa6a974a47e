//go:build linux

package main

import (
	"fmt"
	"net"
	"time"
)

// memory is the resident memory of one product, in bytes.
type memory struct {
	Rest          int64   `json:"rest"` // started, one request answered
	Load          int64   `json:"load"` // the highest seen under load
	Connections   int     `json:"connections"`
	Idle          int64   `json:"idle"`          // with that many idle keep-alive connections
	PerConnection float64 `json:"perConnection"` // the slope of the second half of the connections
}

// settleTime lets a proxy give back what it holds no longer before its memory is read.
const settleTime = 5 * time.Second

// measureIdle starts each product afresh, twice, so that nothing an earlier load left behind hides growth.
func (b *bench) measureIdle() error {
	for _, p := range b.products {
		m := memory{Connections: b.idle}
		err := b.measureIdleConnections(p, &m)
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

// measureIdleConnections fills in all of m but its Load.
func (b *bench) measureIdleConnections(p product, m *memory) error {
	i, err := b.start(p, nil)
	if err != nil {
		return err
	}
	defer i.stop()
	time.Sleep(time.Second)
	if m.Rest, err = i.memory(); err != nil {
		return err
	}
	var conns []net.Conn
	defer func() {
		for _, conn := range conns {
			conn.Close()
		}
	}()
	var half int64
	for _, want := range []int{b.idle / 2, b.idle} {
		for len(conns) < want {
			conn, err := openIdle(i.Port, len(conns))
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
	m.PerConnection = float64(m.Idle-half) / float64(b.idle-b.idle/2)
	for _, conn := range []net.Conn{conns[0], conns[len(conns)-1]} {
		if err := ask(conn); err != nil {
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

// openIdle opens a connection and has one request answered on it. The source addresses change, as a proxy
// may limit connections per client and a pair of addresses has only so many ports.
func openIdle(port, n int) (net.Conn, error) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+n%50))}, Timeout: 5 * time.Second, KeepAlive: -1}
	conn, err := dialer.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return nil, err
	}
	if err := ask(conn); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// ask has one request answered on conn.
func ask(conn net.Conn) error {
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := fmt.Fprintf(conn, "GET /api/128 HTTP/1.1\r\nHost: %s\r\n\r\n", host); err != nil {
		return err
	}
	return readAnswer(conn)
}
