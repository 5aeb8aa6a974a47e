//go:build linux

package integration

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/pergola-mesh/pergola/integration/harness"
)

// TestNginxBehind fetches bodies of several sizes from a real server and compares them byte for byte.
func TestNginxBehind(t *testing.T) {
	backend := harness.Nginx(t, `
		location = /small { return 200 "small\n"; }
		location = /empty { return 204; }
		location = /gone { return 410 "gone\n"; }
		location = /seen { return 200 "$host $http_x_forwarded_for $http_x_forwarded_proto $http_connection|\n"; }`)
	g := harness.Start(t, oneBackend, harness.Vars{"BACKEND": backend})
	g.AwaitStatus("/small", 200)
	_, port, _ := strings.Cut(g.Web, ":")
	for _, test := range []struct {
		path   string
		status int
		body   string
	}{
		{"/small", 200, "small\n"},
		{"/empty", 204, ""},
		{"/gone", 410, "gone\n"},
		{"/seen", 200, "127.0.0.1 127.0.0.1 http |\n"},
	} {
		conn := harness.Dial(t, g.Web)
		// Two on one connection: the second shows that the first ended where it should.
		for range 2 {
			conn.Send("GET %s HTTP/1.1\nHost: 127.0.0.1:%s\nConnection: keep-alive\n\n", test.path, port)
			if response, body := conn.Response("GET"); response.StatusCode != test.status || body != test.body {
				t.Errorf("%s: %s %q, want %d %q", test.path, response.Status, body, test.status, test.body)
			}
		}
	}
}

func TestBodiesAndTrailers(t *testing.T) {
	backend := harness.Whoami(t, "one")
	g := harness.Start(t, oneBackend, harness.Vars{"BACKEND": backend})
	g.AwaitStatus("/", 200)
	for _, path := range []string{"/data?size=1MiB", "/data?size=1MiB&chunked=true", "/data?size=0", "/data?size=70000"} {
		want, got := get(t, backend+path), get(t, "http://"+g.Web+path)
		if !bytes.Equal(want, got) {
			t.Errorf("%s: %d bytes through the gateway differ from %d directly", path, len(got), len(want))
		}
	}

	response, err := http.Get("http://" + g.Web + "/trailers")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.ReadAll(response.Body); err != nil {
		t.Fatal(err)
	}
	if response.Trailer.Get("X-Checksum") != "b1946ac9" || response.Trailer.Get("X-Unannounced") != "yes" {
		t.Errorf("response trailers %v", response.Trailer)
	}

	request, _ := http.NewRequest("POST", "http://"+g.Web+"/upload", io.MultiReader(strings.NewReader("body")))
	request.Trailer = http.Header{"X-Sum": {"abc"}}
	uploaded, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer uploaded.Body.Close()
	receipt, _ := io.ReadAll(uploaded.Body)
	if !strings.Contains(string(receipt), `"bytes":4`) || !strings.Contains(string(receipt), `"X-Sum":["abc"]`) {
		t.Errorf("request trailers did not arrive: %s", receipt)
	}
}

func get(t *testing.T, url string) []byte {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != 200 {
		t.Fatalf("%s: %s, %v", url, response.Status, err)
	}
	return body
}

// TestPipelining sends five requests at once, the slowest first.
func TestPipelining(t *testing.T) {
	g := harness.Start(t, oneBackend, harness.Vars{"BACKEND": harness.Whoami(t, "one")})
	g.AwaitStatus("/", 200)
	conn := harness.Dial(t, g.Web)
	var requests strings.Builder
	for i := range 5 {
		fmt.Fprintf(&requests, "GET /delay/%dms?n=%d HTTP/1.1\nHost: x\n\n", 200-40*i, i)
	}
	conn.Send("%s", requests.String())
	for i := range 5 {
		if _, body := conn.Response("GET"); !strings.Contains(body, fmt.Sprintf("?n=%d ", i)) {
			t.Errorf("answer %d belongs to another request: %s", i, body)
		}
	}
}

func TestWebSocket(t *testing.T) {
	g := harness.Start(t, oneBackend, harness.Vars{"BACKEND": harness.Whoami(t, "one")})
	g.AwaitStatus("/", 200)
	conn, response, err := websocket.Dial(t.Context(), "ws://"+g.Web+"/echo", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	if response.StatusCode != 101 {
		t.Fatalf("upgrade answered %s", response.Status)
	}
	conn.SetReadLimit(1 << 20)
	for _, size := range []int{1, 1000, 1 << 19} {
		message := bytes.Repeat([]byte("m"), size)
		if err := conn.Write(t.Context(), websocket.MessageBinary, message); err != nil {
			t.Fatal(err)
		}
		if _, got, err := conn.Read(t.Context()); err != nil || !bytes.Equal(got, message) {
			t.Fatalf("echo of %d bytes: %d bytes, %v", size, len(got), err)
		}
	}
	if err := conn.Close(websocket.StatusNormalClosure, "done"); err != nil {
		t.Errorf("the closing handshake did not pass: %v", err)
	}
}

// TestEventsAreNotBuffered has the backend send the second event only when the first has arrived.
func TestEventsAreNotBuffered(t *testing.T) {
	arrived := make(chan struct{})
	backend := harness.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			http.NewResponseController(w).Flush()
			select {
			case <-arrived:
			case <-r.Context().Done():
				return
			}
		}
	}))
	g := startBefore(t, backend)
	conn := harness.Dial(t, g.Web)
	conn.Send("GET /events HTTP/1.1\nHost: x\n\n")
	response, err := http.ReadResponse(conn.Reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(response.Body)
	for i := range 3 {
		if !lines.Scan() || lines.Text() != fmt.Sprintf("data: %d", i) || !lines.Scan() {
			t.Fatalf("event %d: %q, %v", i, lines.Text(), lines.Err())
		}
		arrived <- struct{}{}
	}
	if lines.Scan() || lines.Err() != nil {
		t.Errorf("after the events: %q, %v", lines.Text(), lines.Err())
	}
}

// startBefore starts the gateway before a backend that must see no request but the test's own: a route to
// another backend says when the gateway is ready.
func startBefore(t *testing.T, backend string) *harness.Gateway {
	t.Helper()
	g := harness.Prepare(t, oneBackend, harness.Vars{"BACKEND": backend})
	g.Write("dynamic/ready.yaml", `
http:
  routers:
    ready: {rule: Path(~/ready-for-test~), priority: 100000, service: ready}
  services:
    ready: {loadBalancer: {servers: [{url: "`+harness.Whoami(t, "ready")+`"}]}}
`)
	g.Run()
	g.AwaitStatus("/ready-for-test", 200)
	return g
}

// TestExpectContinueIsForwarded lets the backend decide: the gateway must not answer 100 in its place.
func TestExpectContinueIsForwarded(t *testing.T) {
	heads := make(chan string, 1)
	decide := make(chan string)
	backend := harness.ServeRaw(t, func(conn *harness.Conn) {
		heads <- conn.Head()
		verdict := <-decide
		conn.Send("%s", verdict)
		if strings.HasPrefix(verdict, "HTTP/1.1 100") {
			body := make([]byte, 4)
			io.ReadFull(conn, body)
			conn.Send("HTTP/1.1 200 OK\nContent-Length: 4\n\n%s", body)
		}
	})
	g := startBefore(t, backend)
	for _, verdict := range []string{"HTTP/1.1 100 Continue\n\n", "HTTP/1.1 417 Expectation Failed\nContent-Length: 0\n\n"} {
		conn := harness.Dial(t, g.Web)
		conn.Send("POST /x HTTP/1.1\nHost: x\nExpect: 100-continue\nContent-Length: 4\n\n")
		head := harness.Within(t, "the request head at the backend", heads)
		if !strings.Contains(strings.ToLower(head), "\nexpect: 100-continue\n") {
			t.Errorf("the backend was not asked: %q", head)
		}
		conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if early, err := conn.Peek(1); err == nil {
			t.Fatalf("the gateway answered %q before the backend did", early)
		}
		conn.SetReadDeadline(time.Now().Add(harness.Patience))
		decide <- verdict
		if strings.HasPrefix(verdict, "HTTP/1.1 100") {
			if head := conn.Head(); !strings.HasPrefix(head, "HTTP/1.1 100") {
				t.Fatalf("want 100 Continue first, got %q", head)
			}
			conn.Send("body")
			if response, body := conn.Response("POST"); response.StatusCode != 200 || body != "body" {
				t.Errorf("after the body: %s %q", response.Status, body)
			}
		} else if response, _ := conn.Response("POST"); response.StatusCode != 417 {
			t.Errorf("the backend refused with 417, the client saw %s", response.Status)
		}
	}
}
