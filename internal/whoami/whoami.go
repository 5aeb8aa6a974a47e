// Package whoami is the demonstration and test backend: an HTTP server that shows each request as it
// arrived, and that can be told to be slow, large, sick or broken.
//
//	/                     the request, as text; as JSON on /api, with ?format=json or Accept: application/json
//	/headers              its header fields, as JSON
//	/health               200, or the status that a POST to it named in its body
//	/status/{code}        an answer with that status
//	/delay/{for}          the request again after a pause: /delay/1s, /delay?for=1s
//	/data?size=10KB       a body of that many bytes; chunked=true leaves out its length
//	/abort?after=1KB      a body that breaks off after that many bytes
//	/upload               reads the whole request body and answers its size and SHA-256
//	/trailers             a chunked body followed by trailer fields
//	/stream?count=5       server-sent events, one each interval=1s; count=0 goes on for ever
//	/echo                 a WebSocket that sends back every message
package whoami

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// drainTime bounds how long Run waits for requests in flight once it is told to stop.
const drainTime = 10 * time.Second

// Run serves until ctx ends, then lets the requests in flight finish. It writes the address it listens on
// to stdout, as one line, once it accepts connections. The arguments are the command's flags; a bad one,
// or a port that is taken, is returned as the error.
func Run(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("whoami", flag.ContinueOnError)
	flags.SetOutput(stdout)
	address := flags.String("address", "127.0.0.1", "address to listen on")
	port := flags.Uint("port", 9101, "port to listen on; 0 takes a free one")
	name := flags.String("name", "", "name to give in every answer")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return fmt.Errorf("whoami: %w", err)
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("whoami: unexpected argument %q: everything is a flag, see -help", flags.Arg(0))
	}
	if *port > 65535 {
		return fmt.Errorf("whoami: port %d is not between 0 and 65535", *port)
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(*address, strconv.FormatUint(uint64(*port), 10)))
	if err != nil {
		return fmt.Errorf("whoami: %w (choose another with -port)", err)
	}
	fmt.Fprintf(stdout, "whoami %s listening on http://%s\n", *name, listener.Addr())
	return serve(ctx, listener, New(*name))
}

// serve answers on listener, which it closes, until ctx ends.
func serve(ctx context.Context, listener net.Listener, backend *Backend) error {
	server := &http.Server{Handler: backend, ReadHeaderTimeout: 10 * time.Second, Protocols: new(http.Protocols)}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("whoami: %w", err)
	case <-ctx.Done():
	}
	backend.stop()
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	if err := server.Shutdown(drain); err != nil {
		server.Close()
		return fmt.Errorf("whoami: requests still in flight after %s: %w", drainTime, err)
	}
	return nil
}

// Backend is the handler that Run serves. It is safe for concurrent use.
type Backend struct {
	name   string
	mux    *http.ServeMux
	health atomic.Int32 // status of /health

	// stopping is closed by stop, so that endless streams end.
	stopping context.Context
	stop     context.CancelFunc
}

// New makes a backend that gives name in its answers.
func New(name string) *Backend {
	b := &Backend{name: name, mux: http.NewServeMux()}
	b.health.Store(http.StatusOK)
	b.stopping, b.stop = context.WithCancel(context.Background())
	b.mux.HandleFunc("/", b.show)
	b.mux.HandleFunc("/headers", showHeaders)
	b.mux.HandleFunc("GET /health", b.showHealth)
	b.mux.HandleFunc("POST /health", b.setHealth)
	b.mux.HandleFunc("/status/{code}", answerStatus)
	b.mux.HandleFunc("/delay", b.delay)
	b.mux.HandleFunc("/delay/{for}", b.delay)
	b.mux.HandleFunc("/data", sendData)
	b.mux.HandleFunc("/abort", abort)
	b.mux.HandleFunc("/upload", upload)
	b.mux.HandleFunc("/trailers", sendTrailers)
	b.mux.HandleFunc("/stream", b.stream)
	b.mux.HandleFunc("/echo", b.echo)
	return b
}

// ServeHTTP implements [http.Handler].
func (b *Backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if b.name != "" {
		w.Header().Set("X-Whoami-Name", b.name)
	}
	b.mux.ServeHTTP(w, r)
}
