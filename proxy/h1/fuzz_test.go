package h1

import (
	"bufio"
	"bytes"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/fields"
)

// seeds are all that clients, or servers, send in the transcripts.
func seeds(f *testing.F, server bool) {
	names, _ := filepath.Glob("testdata/*.txtar")
	for _, name := range names {
		_, all := readTranscripts(f, name)
		for _, tr := range all {
			if server {
				f.Add([]byte(tr.server))
			} else {
				f.Add([]byte(tr.client))
			}
		}
	}
}

// FuzzRequest: however a head arrives, the verdict is the same and its end is in the same place, whether
// the parser or headEnd looks for it.
func FuzzRequest(f *testing.F) {
	seeds(f, false)
	f.Fuzz(func(t *testing.T, in []byte) {
		in = in[:min(len(in), 1000)] // the work grows by the square of it, and a head of as many fields as are taken fits
		end, err := parseHead(in)
		seen := 0
		for n := 1; n <= len(in); n++ {
			e, early := parseHead(in[:n])
			if early != nil && err == nil || e >= 0 && (err != nil || e != end || n < end) {
				t.Fatalf("%q: %d %v, but %d bytes of it: %d %v", in, end, err, n, e, early)
			}
			if early != nil || seen < 0 {
				continue
			}
			switch h, bad := headEnd(in[:n], seen); {
			case bad != nil && err == nil && e < 0:
				t.Fatalf("headEnd refuses %q: %v", in[:n], bad)
			case bad == nil && h >= 0 && end >= 0 && h != end:
				t.Fatalf("headEnd says %d, the parser %d: %q", h, end, in)
			case bad == nil && h >= 0 && e < 0:
				t.Fatalf("headEnd says %d, the parser waits for more: %q", h, in[:n]) // and would for ever
			case h >= 0 || bad != nil:
				seen = -1
			default:
				seen = n
			}
		}
	})
}

func parseHead(head []byte) (int, error) {
	var x exchange.Exchange
	var fr framing
	end, err := parseRequest(&x, &fr, head, &fields.DefaultLimits)
	if err != nil {
		return -1, err
	}
	return end, nil
}

// FuzzResponse: a response is refused or has a meaning, never a panic.
func FuzzResponse(f *testing.F) {
	seeds(f, true)
	f.Fuzz(func(t *testing.T, in []byte) {
		var p exchange.Response
		var fr framing
		end, err := parseResponse(&p, &fr, bytes.Clone(in))
		if err != nil || end < 0 {
			return
		}
		if p.Status < 100 || p.Status > 999 || fr.coded && fr.length >= 0 {
			t.Fatalf("status %d, %+v", p.Status, fr)
		}
		q, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(in)), nil)
		if err == nil && q.StatusCode != p.Status {
			t.Fatalf("status %d, net/http says %d", p.Status, q.StatusCode)
		}
	})
}

// FuzzChunks: any split gives the same content and end, and what is re-encoded reads the same.
func FuzzChunks(f *testing.F) {
	f.Add([]byte("3;a=b\r\nabc\r\n0\r\n\r\n"), uint8(1))
	f.Add([]byte("ffffffffffffffff\r\nabc"), uint8(3))
	f.Add([]byte("3\r\nabcX"), uint8(2))
	f.Fuzz(func(t *testing.T, in []byte, step uint8) {
		content, rest, err := decodeChunks(in, max(len(in), 1))
		pieces, restPieces, errPieces := decodeChunks(in, int(step)%16+1)
		if (err == nil) != (errPieces == nil) || err == nil && (!bytes.Equal(content, pieces) || rest != restPieces) {
			t.Fatalf("whole %q %d %v, by pieces %q %d %v", content, rest, err, pieces, restPieces, errPieces)
		}
		if err == nil && len(content) > 0 {
			again := append(append(appendChunkHead(nil, len(content)), content...), "\r\n0\r\n"...)
			if c, n, err := decodeChunks(again, 1); err != nil || !bytes.Equal(c, content) || n != len(again) {
				t.Fatalf("%q reads as %q, %d, %v", again, c, n, err)
			}
		}
	})
}

// decodeChunks gives what arrives in steps to a decoder, and returns the content and where the trailer
// section begins, -1 when it has not come to that.
func decodeChunks(in []byte, step int) (content []byte, end int, err error) {
	var c chunks
	at := 0
	for n := min(step, len(in)); ; n = min(n+step, len(in)) {
		for {
			data, used, trailer, err := c.next(in[at:n])
			at += used
			content = append(content, data...)
			if err != nil {
				return nil, -1, err
			}
			if trailer {
				return content, at, nil
			}
			if used == 0 {
				break
			}
		}
		if n == len(in) {
			return content, -1, nil
		}
	}
}
