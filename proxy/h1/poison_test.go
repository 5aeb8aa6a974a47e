package h1

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// A server that answers a request with a body once too often, as one does that takes the body for a
// request, must not have its extra answer taken for that of the next request, which may be another
// client's, when it is there before that request. (One that comes later cannot be told from the answer,
// and what the portable path does not see it cannot refuse.)
func TestExtraAnswerReachesNobody(t *testing.T) {
	if portable {
		return
	}
	var once sync.Once
	sent := make(chan struct{})
	r := newRig(t, nil, func(c net.Conn) {
		br := bufio.NewReader(c)
		for {
			head, err := readHead(br)
			if err != nil {
				return
			}
			path := strings.Fields(head)[1]
			if path == "/first" {
				br.Discard(4)
			}
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: %d\r\n\r\n%s", len(path), path)
			if path == "/first" {
				once.Do(func() {
					io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
					close(sent)
				})
			}
		}
	})
	c := r.dial()
	br := bufio.NewReader(c)
	for i := range 50 {
		method, path, body := "PUT", "/first", "Content-Length: 4\r\n\r\nbody"
		if i > 0 {
			method, path, body = "GET", fmt.Sprintf("/%d", i), "\r\n"
		}
		fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: h\r\n%s", method, path, body)
		head, err := readHead(br)
		if err != nil {
			t.Fatal(i, err)
		}
		var n int
		fmt.Sscanf(head[strings.Index(head, "Content-Length: ")+16:], "%d", &n)
		got := make([]byte, n)
		io.ReadFull(br, got)
		if string(got) != path && !strings.HasPrefix(head, "HTTP/1.1 502") {
			t.Errorf("request %s got %q", path, got)
		}
		<-sent // on this machine it has then arrived too
	}
}
