package whoami

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// ask sends one request to a fresh backend and returns the answer with its body read.
func ask(t *testing.T, server *httptest.Server, method, target, body string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequest(method, server.URL+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(text)
}

func start(t *testing.T) *httptest.Server {
	server := httptest.NewServer(New("one"))
	t.Cleanup(server.Close)
	return server
}

func TestAnswers(t *testing.T) {
	server := start(t)
	for _, test := range []struct {
		method, target, body string
		status               int
		want                 string // in the answer's body
	}{
		{"GET", "/some/path?q=1", "", 200, "GET /some/path?q=1 HTTP/1.1\nHost: 127.0.0.1"},
		{"POST", "/", "the body", 200, "\nthe body\n"},
		{"GET", "/headers", "", 200, `"Accept-Encoding":["gzip"]`},
		{"GET", "/status/418", "", 418, "418 I'm a teapot"},
		{"GET", "/status/204", "", 204, ""},
		{"GET", "/status/101", "", 400, "not a number from 200 to 599"},
		{"GET", "/status/abc", "", 400, "not a number from 200 to 599"},
		{"GET", "/delay/1ms", "", 200, "GET /delay/1ms"},
		{"GET", "/delay?for=1ms", "", 200, "GET /delay?for=1ms"},
		{"GET", "/delay", "", 400, "not a duration"},
		{"GET", "/data?size=30", "", 200, "abcdefghijklmnopqrstuvwxyzabcd"},
		{"GET", "/data?size=3B&chunked=true", "", 200, "abc"},
		{"GET", "/data?size=1XB", "", 400, `size "1XB"`},
		{"GET", "/data?size=9999999999GB", "", 400, "up to 1 TiB"},
		{"GET", "/stream?count=2&interval=1ms", "", 200, "id: 1\ndata: {\"event\":1,\"from\":\"one\"}\n\nid: 2\n"},
		{"GET", "/stream?count=x", "", 400, `count "x"`},
		{"GET", "/stream?interval=0s", "", 400, `interval "0s"`},
		{"GET", "/abort?after=x", "", 400, `size "x"`},
	} {
		response, body := ask(t, server, test.method, test.target, test.body)
		if response.StatusCode != test.status || !strings.Contains(body, test.want) {
			t.Errorf("%s %s: %d %q, want %d with %q",
				test.method, test.target, response.StatusCode, body, test.status, test.want)
		}
		if response.Header.Get("X-Whoami-Name") != "one" {
			t.Errorf("%s %s: no name in the answer", test.method, test.target)
		}
	}
}

func TestJSON(t *testing.T) {
	server := start(t)
	for _, target := range []string{"/api", "/x?format=json"} {
		_, body := ask(t, server, "POST", target, "hello")
		var view View
		if err := json.Unmarshal([]byte(body), &view); err != nil {
			t.Fatal(err)
		}
		if view.Name != "one" || view.Method != "POST" || view.URL != target || view.Body != "hello" ||
			view.Headers.Get("Content-Length") != "" && view.Headers.Get("Content-Length") != "5" {
			t.Errorf("%s: %+v", target, view)
		}
	}
}

func TestDataLengthAndUnits(t *testing.T) {
	server := start(t)
	for size, want := range map[string]int{"": 1000, "2KB": 2000, "2KiB": 2048, "1MiB": 1 << 20, "0": 0} {
		response, body := ask(t, server, "GET", "/data?size="+size, "")
		if len(body) != want || response.ContentLength != int64(want) {
			t.Errorf("size %q: %d bytes, length %d, want %d", size, len(body), response.ContentLength, want)
		}
		if strings.Repeat("abcdefghijklmnopqrstuvwxyz", want/26+1)[:want] != body {
			t.Errorf("size %q: the pattern has a gap", size)
		}
	}
	if response, _ := ask(t, server, "GET", "/data?size=1MB&chunked=true", ""); response.ContentLength != -1 {
		t.Errorf("chunked answer announces length %d", response.ContentLength)
	}
}

func TestHealthIsSettable(t *testing.T) {
	server := start(t)
	for _, step := range []struct {
		set           string
		setting, then int
	}{{"503", 200, 503}, {"nonsense", 400, 503}, {"200\n", 200, 200}} {
		if response, _ := ask(t, server, "POST", "/health", step.set); response.StatusCode != step.setting {
			t.Errorf("setting %q: %d, want %d", step.set, response.StatusCode, step.setting)
		}
		if response, _ := ask(t, server, "GET", "/health", ""); response.StatusCode != step.then {
			t.Errorf("after setting %q: %d, want %d", step.set, response.StatusCode, step.then)
		}
	}
}

func TestUploadCountsAndSums(t *testing.T) {
	server := start(t)
	body := strings.Repeat("0123456789", 100_000)
	request, _ := http.NewRequest("PUT", server.URL+"/upload", io.MultiReader(strings.NewReader(body)))
	request.Trailer = http.Header{"X-Sum": {"abc"}}
	response, err := server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var receipt Receipt
	if err := json.NewDecoder(response.Body).Decode(&receipt); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(body))
	want := Receipt{Bytes: 1_000_000, SHA256: hex.EncodeToString(sum[:]), Trailers: http.Header{"X-Sum": {"abc"}}}
	if !reflect.DeepEqual(receipt, want) {
		t.Errorf("receipt %+v, want %+v", receipt, want)
	}
}

func TestTrailers(t *testing.T) {
	response, body := ask(t, start(t), "GET", "/trailers", "")
	want := http.Header{"X-Checksum": {"b1946ac9"}, "X-Unannounced": {"yes"}}
	if body != "trailers follow\n" || !reflect.DeepEqual(response.Trailer, want) {
		t.Errorf("%q with trailers %v, want %v", body, response.Trailer, want)
	}
}

func TestAbortIsNeverACleanEnd(t *testing.T) {
	server := start(t)
	for _, target := range []string{"/abort?after=5KB", "/abort?after=5KB&chunked=true"} {
		response, err := server.Client().Get(server.URL + target)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if len(body) != 5000 || err == nil {
			t.Errorf("%s: %d bytes, error %v; want 5000 and an error", target, len(body), err)
		}
	}
}

func TestEcho(t *testing.T) {
	server := start(t)
	conn, _, err := websocket.Dial(t.Context(), server.URL+"/echo", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	conn.SetReadLimit(1 << 20)
	for _, message := range []string{"one", strings.Repeat("x", 100_000)} {
		if err := conn.Write(t.Context(), websocket.MessageText, []byte(message)); err != nil {
			t.Fatal(err)
		}
		if _, got, err := conn.Read(t.Context()); err != nil || string(got) != message {
			t.Fatalf("echo of %d bytes: %d bytes, %v", len(message), len(got), err)
		}
	}
}

// TestRunDrains stops the backend while a request is in flight and an endless stream is open: the request
// is answered, the stream ends.
func TestRunDrains(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	output, input := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- Run(ctx, []string{"-port", "0", "-name", "two"}, input) }()
	line := make([]byte, 200)
	n, err := output.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	_, url, ok := strings.Cut(strings.TrimSpace(string(line[:n])), "listening on ")
	if !ok {
		t.Fatalf("first line %q names no address", line[:n])
	}

	stream, err := http.Get(url + "/stream?count=0&interval=1h")
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "POST /upload HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
	reader := bufio.NewReader(conn)
	if line, err := reader.ReadString('\n'); line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("%q, %v: the backend does not read the body", line, err)
	}
	cancel()
	if _, err := io.ReadAll(stream.Body); err != nil {
		t.Errorf("the stream broke off: %v", err)
	}
	io.WriteString(conn, "done")
	reader.ReadString('\n') // the empty line after 100 Continue
	if response, err := http.ReadResponse(reader, nil); err != nil || response.StatusCode != 200 {
		t.Errorf("the request in flight failed: %v, %v", response, err)
	}
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestRunRefusesBadFlags(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for want, args := range map[string][]string{
		"address already in use":    {"-port", port},
		"choose another with -port": {"-port", port},
		"flag provided but not":     {"-nonsense"},
		"unexpected argument":       {"9101"},
		"not between 0 and 65535":   {"-port", "70000"},
	} {
		if err := Run(ctx, args, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
}
