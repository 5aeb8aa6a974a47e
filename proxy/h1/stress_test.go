package h1

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// roughUpstream echoes each request's id and body, and now and then answers early, delays, closes or
// resets.
func roughUpstream(c net.Conn) {
	br := bufio.NewReader(c)
	for {
		q, err := http.ReadRequest(br)
		if err != nil {
			return
		}
		id, dice := q.Header.Get("X-Id"), rand.N(40)
		if q.URL.Path != "/"+id {
			id = "mixed: " + q.URL.Path + " " + id
		}
		if dice == 0 { // early
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nX-Id: %s\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", id, len(id), id)
			return
		}
		body, err := io.ReadAll(q.Body)
		if err != nil {
			return
		}
		body = append([]byte(id), body...)
		switch dice {
		case 1:
			c.(*peer).SetLinger(0)
			return
		case 2:
			time.Sleep(rand.N(5 * time.Millisecond)) // the server is slow
		case 3:
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nX-Id: %s\r\nContent-Length: %d\r\n\r\n%s", id, len(body)+1, body)
			return
		}
		if dice%2 == 0 {
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nX-Id: %s\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", id, len(body), body)
		} else {
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nX-Id: %s\r\nContent-Length: %d\r\n\r\n%s", id, len(body), body)
		}
		if dice == 4 {
			return
		}
	}
}

// Whatever breaks, a response that arrives whole belongs to its request.
func TestNoResponseIsEverMixedUp(t *testing.T) {
	r := newRig(t, nil, roughUpstream)
	const clients, rounds = 64, 40
	var all sync.WaitGroup
	var whole atomic.Int64
	for i := range clients {
		all.Go(func() {
			for round := 0; round < rounds; {
				c, err := r.connect()
				if err != nil {
					t.Error(err)
					return
				}
				round += stressConnection(t, c, fmt.Sprintf("%d-%d", i, round), &whole)
				c.Close()
			}
		})
	}
	all.Wait()
	if n := whole.Load(); n < clients*rounds/2 {
		t.Errorf("only %d responses arrived whole", n)
	}
}

// stressConnection sends a few pipelined requests, and perhaps goes away in the middle.
func stressConnection(t *testing.T, c net.Conn, name string, whole *atomic.Int64) int {
	n := 1 + rand.N(6)
	type sent struct{ id, body string }
	var want []sent
	var in strings.Builder
	for k := range n {
		s := sent{id: fmt.Sprintf("%s-%d", name, k)}
		switch rand.N(3) {
		case 0:
			fmt.Fprintf(&in, "GET /%s HTTP/1.1\r\nHost: h\r\nX-Id: %s\r\n\r\n", s.id, s.id)
		case 1:
			s.body = strings.Repeat(s.id+" ", rand.N(6000))
			fmt.Fprintf(&in, "POST /%s HTTP/1.1\r\nHost: h\r\nX-Id: %s\r\nContent-Length: %d\r\n\r\n%s", s.id, s.id, len(s.body), s.body)
		case 2:
			s.body = strings.Repeat(s.id+" ", 1+rand.N(3000))
			fmt.Fprintf(&in, "PUT /%s HTTP/1.1\r\nHost: h\r\nX-Id: %s\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", s.id, s.id, len(s.body), s.body)
		}
		want = append(want, s)
	}
	text := in.String()
	leaves := rand.N(8) == 0
	if leaves {
		text = text[:rand.N(len(text))]
		go func() {
			io.WriteString(c, text)
			c.Close()
		}()
	} else {
		go io.WriteString(c, text)
	}
	br := bufio.NewReader(c)
	for _, s := range want {
		p, err := http.ReadResponse(br, nil)
		if err != nil {
			break
		}
		body, err := io.ReadAll(p.Body)
		if err != nil {
			break
		}
		if p.StatusCode != 200 {
			if p.StatusCode != 502 && !(leaves && p.StatusCode == 499) { // over TLS it may read what its leaving is answered
				t.Errorf("%s: status %d", s.id, p.StatusCode)
			}
			continue
		}
		if got := p.Header.Get("X-Id"); got != s.id || string(body) != s.id+s.body && string(body) != s.id {
			t.Errorf("%s got the response of %q, %.60q", s.id, got, body)
		}
		whole.Add(1)
	}
	return n
}
