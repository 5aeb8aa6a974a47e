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

// A server that answers once too often must not have its extra answer taken for that of the next
// request, which may be another client's, when it is there before that request. (One that comes later
// cannot be told from the answer, and what the portable path does not see it cannot refuse.)
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
		path := "/first"
		if i > 0 {
			path = fmt.Sprintf("/%d", i)
		}
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", path)
		head, err := readHead(br)
		if err != nil {
			t.Fatal(i, err)
		}
		var n int
		fmt.Sscanf(head[strings.Index(head, "Content-Length: ")+16:], "%d", &n)
		body := make([]byte, n)
		io.ReadFull(br, body)
		if string(body) != path && !strings.HasPrefix(head, "HTTP/1.1 502") {
			t.Errorf("request %s got %q", path, body)
		}
		<-sent // on this machine it has then arrived too
	}
}
