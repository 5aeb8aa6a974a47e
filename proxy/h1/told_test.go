package h1

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/pergola-mesh/pergola/internal/clock"
	"github.com/pergola-mesh/pergola/internal/waittest"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/listen"
)

// A connection whose goroutine gets no processor for a second, just after an exchange, is told to park or to end
// before it waits: it loses no request by that.
func TestToldBeforeItWaits(t *testing.T) {
	if portable {
		return // nobody tells them to park
	}
	const request = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
	for name, tt := range map[string]struct {
		told  phase
		read  string // of the next request, with the last one
		ahead string // what came behind that, and can be read without the socket
	}{
		"to park":                            {parking, "", ""},
		"to park, with a request read":       {parking, request, ""},
		"to end, with a request read":        {ending, request, ""},
		"to park, with half a request":       {parking, request[:9], ""},
		"to end, with half a request":        {ending, request[:9], ""},
		"to park, with one and a half":       {parking, request + request[:9], ""},
		"to park, with two requests read":    {parking, request + request, ""},
		"to park, with a request ahead":      {parking, "", request},
		"to end, with a request ahead":       {ending, "", request},
		"to end, with half a request in two": {ending, request[:9], request[9:12]},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil, answer(ok))
			ln := listenLocal(t)
			client, err := net.Dial("tcp", ln.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			socket, err := ln.Accept()
			if err != nil {
				t.Fatal(err)
			}
			s := r.server
			c := &conn1{srv: s, io: listen.NewConn(socket, []byte(tt.ahead)), info: &exchange.Conn{}, done: func() {}, began: clock.Now()}
			s.active.Add(1)
			ws := c.takeWorkspace()
			ws.w = copy(ws.in, tt.read)
			c.enter(idle)
			c.progress.stuck(clock.Now())
			c.tell(tt.told)
			c.ticket = s.sweeper.Add(c)
			go c.serve()
			given := tt.read + tt.ahead
			if given == "" {
				waittest.Until(t, "parked", func() bool { return parkedCount(r) == 1 })
			}
			br := bufio.NewReader(client)
			for i := range 3 {
				if i == strings.Count(given, request) { // what is there already is answered without more
					io.WriteString(client, (request + request + request)[len(given):])
				}
				head, err := readHead(br)
				if err != nil || !strings.HasPrefix(head, "HTTP/1.1 200") {
					t.Fatalf("%v %q", err, head)
				}
				io.ReadFull(br, make([]byte, 2))
			}
		})
	}
}
