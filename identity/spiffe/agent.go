package spiffe

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// agent is a connection to the Workload API, a service of gRPC. SPIFFE Workload API §3, SPIFFE Workload
// Endpoint §3.
type agent struct{ http *http.Transport }

// Times of the connection to the agent.
const (
	// dialTime is for connecting, firstTime for the first answer, which is due without delay: §4.3.
	dialTime, firstTime = 5 * time.Second, 30 * time.Second
	// After pingAfter without a word the agent has pingTime to show that it is still there.
	pingAfter, pingTime = 30 * time.Second, 15 * time.Second
)

// maxMessage bounds an answer, in bytes: the limit of gRPC where none is stated.
const maxMessage = 4 << 20

func newAgent(network, address string) *agent {
	t := &http.Transport{
		Protocols: new(http.Protocols),
		HTTP2:     &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTime},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{Timeout: dialTime}).DialContext(ctx, network, address)
		},
		DisableCompression: true,
	}
	t.Protocols.SetUnencryptedHTTP2(true)
	return &agent{t}
}

func (a *agent) close() { a.http.CloseIdleConnections() }

// watch gives what the agent says, at first and whenever it changes, until the agent ends it, which is
// always an error. An answer that makes no sense ends it too.
func (a *agent) watch(ctx context.Context, give func(*material)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(firstTime, func() { cancel(errSilent) })
	defer silence.Stop()
	// The request is an empty message in its frame.
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://localhost/SpiffeWorkloadAPI/FetchX509SVID", strings.NewReader("\x00\x00\x00\x00\x00"))
	if err != nil {
		return err
	}
	request.Header = http.Header{
		"Content-Type": {"application/grpc"}, "Te": {"trailers"}, "User-Agent": {"pergola"},
		// Requests that somebody was tricked into making lack it. SPIFFE Workload Endpoint §3.
		"Workload.spiffe.io": {"true"},
	}
	response, err := a.http.RoundTrip(request)
	if err != nil {
		return causeOf(ctx, err)
	}
	defer response.Body.Close()
	if kind := response.Header.Get("Content-Type"); response.StatusCode != http.StatusOK || !strings.HasPrefix(kind, "application/grpc") {
		return fmt.Errorf("what answers is no Workload API: %s, %q", response.Status, kind)
	}
	for {
		message, err := readMessage(response.Body)
		if err == io.EOF {
			return statusOf(response)
		}
		if err != nil {
			return causeOf(ctx, err)
		}
		m, err := parse(message)
		if err != nil {
			return fmt.Errorf("an answer of the agent: %w", err)
		}
		silence.Stop()
		give(m)
	}
}

var errSilent = errors.New("the agent has not answered within 30s") // which is firstTime

// causeOf is why a context was cancelled, if that is why there is err.
func causeOf(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, errSilent) {
		return cause
	}
	return err
}

// readMessage reads one message in its frame. At the end of the stream it fails with io.EOF.
func readMessage(r io.Reader) ([]byte, error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(head[1:])
	if head[0] != 0 || size > maxMessage {
		return nil, fmt.Errorf("an answer of the agent is compressed, or longer than %d bytes", maxMessage)
	}
	message := make([]byte, size)
	if _, err := io.ReadFull(r, message); err != nil {
		return nil, fmt.Errorf("an answer of the agent is cut off: %w", err)
	}
	return message, nil
}

// status is how a call of gRPC ended.
type status struct{ code, message string }

// Error reads as gRPC's own clients have it.
func (s status) Error() string {
	return fmt.Sprintf("the agent says %.200q (grpc-status %.20s)", s.message, s.code)
}

// permissionDenied is the status of one who has no identity. SPIFFE Workload Endpoint, appendix A.
const permissionDenied = "7"

// isDenial reports whether the agent has said that there is no identity for this process.
func isDenial(err error) bool {
	var s status
	return errors.As(err, &s) && s.code == permissionDenied
}

// statusOf is how a call ended whose body has been read. An answer of trailers alone has them as its head.
func statusOf(response *http.Response) error {
	fields := response.Trailer
	if fields.Get("Grpc-Status") == "" {
		fields = response.Header
	}
	s := status{fields.Get("Grpc-Status"), fields.Get("Grpc-Message")}
	if text, err := url.PathUnescape(s.message); err == nil {
		s.message = text
	}
	if s.code == "" || s.code == "0" {
		return errors.New("the agent has ended the stream")
	}
	return s
}
