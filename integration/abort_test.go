//go:build linux

package integration

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/integration/harness"
)

// TestClientAbortReachesTheUpstream leaves before the response head, and in the middle of the body.
func TestClientAbortReachesTheUpstream(t *testing.T) {
	begun, cancelled := make(chan struct{}), make(chan struct{})
	backend := harness.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/body" {
			io.WriteString(w, "some of it")
			http.NewResponseController(w).Flush()
		}
		begun <- struct{}{}
		<-r.Context().Done()
		cancelled <- struct{}{}
	}))
	g := startBefore(t, backend)
	for _, path := range []string{"/head", "/body"} {
		conn := harness.Dial(t, g.Web)
		conn.Send("GET %s HTTP/1.1\nHost: x\n\n", path)
		harness.Within(t, "the request at the upstream", begun)
		if path == "/body" {
			conn.Head()
		}
		conn.Close()
		left := time.Now()
		harness.Within(t, path+": the upstream's cancellation", cancelled)
		t.Logf("%s: the upstream was told after %v", path, time.Since(left))
	}
}

// TestUpstreamAbortIsNeverACleanEnd breaks off bodies of every framing.
func TestUpstreamAbortIsNeverACleanEnd(t *testing.T) {
	g := harness.Start(t, oneBackend, harness.Vars{"BACKEND": harness.Whoami(t, "one")})
	g.AwaitStatus("/", 200)
	for _, path := range []string{
		"/abort?after=10", "/abort?after=100KB", "/abort?after=10&chunked=true", "/abort?after=100KB&chunked=true",
	} {
		response, err := http.Get("http://" + g.Web + path)
		if err != nil {
			continue // the head itself was held back: an abort too
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err == nil {
			t.Errorf("%s: %s with %d bytes looked complete", path, response.Status, len(body))
		}
	}
}

// TestUploadStreams sends a large body at flat memory, and shows that its beginning arrives before its end
// has been sent.
func TestUploadStreams(t *testing.T) {
	begun := make(chan struct{}, 1)
	var received atomic.Int64
	backend := harness.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		buffer := make([]byte, 1<<20)
		for {
			n, err := r.Body.Read(buffer)
			if n > 0 && received.Add(int64(n)) == int64(n) {
				begun <- struct{}{}
			}
			if err == io.EOF {
				fmt.Fprint(w, received.Load())
				return
			} else if err != nil {
				t.Errorf("the upload broke off at the backend: %v", err)
				return
			}
		}
	}))
	g := startBefore(t, backend)
	before := g.Resident()

	size := *uploadSize << 20
	reader, writer := io.Pipe()
	peak := make(chan int64, 1)
	go func() {
		block := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
		var most int64
		for sent := int64(0); sent < size; sent += int64(len(block)) {
			if _, err := writer.Write(block[:min(int64(len(block)), size-sent)]); err != nil {
				break
			}
			if sent == 0 {
				harness.Within(t, "the first bytes at the backend", begun)
			}
			most = max(most, g.Resident())
		}
		writer.Close()
		peak <- most
	}()
	response, err := http.Post("http://"+g.Web+"/upload", "application/octet-stream", reader)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	if want := fmt.Sprint(size); response.StatusCode != 200 || strings.TrimSpace(string(body)) != want {
		t.Errorf("%s %s, want 200 %s", response.Status, body, want)
	}
	if growth := <-peak - before; growth > 16<<20 {
		t.Errorf("memory grew by %d MiB while %d MiB streamed through", growth>>20, size>>20)
	}
}
