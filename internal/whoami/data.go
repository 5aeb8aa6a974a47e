package whoami

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// pattern is what bodies are made of: it repeats the alphabet, so a lost or doubled byte shows.
var pattern = strings.Repeat("abcdefghijklmnopqrstuvwxyz", 32<<10/26)

// writePattern writes size bytes of the pattern.
func writePattern(w io.Writer, size int64) error {
	for size > 0 {
		n, err := io.WriteString(w, pattern[:min(size, int64(len(pattern)))])
		if err != nil {
			return err
		}
		size -= int64(n)
	}
	return nil
}

func sendData(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	size, err := parseSize(query.Get("size"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	if query.Get("chunked") != "true" {
		w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	}
	writePattern(w, size) // an error is the client leaving: nobody to tell
}

// abort promises one byte more than it sends, then drops the connection.
func abort(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	size, err := parseSize(query.Get("after"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if query.Get("chunked") != "true" {
		w.Header().Set("Content-Length", strconv.FormatInt(size+1, 10))
	}
	writePattern(w, size)
	http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// units are the size suffixes: decimal, binary, and bytes.
var units = []struct {
	suffix string
	bytes  int64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30},
	{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1}, {"", 1},
}

// maxSize bounds a body, in bytes.
const maxSize = 1 << 40

// parseSize reads a number of bytes with an optional unit. No text at all is 1 KB.
func parseSize(text string) (int64, error) {
	if text == "" {
		return 1e3, nil
	}
	for _, unit := range units {
		digits, ok := strings.CutSuffix(text, unit.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || n < 0 || n > maxSize/unit.bytes {
			break
		}
		return n * unit.bytes, nil
	}
	return 0, fmt.Errorf("size %q is not a number of B, KB, MB, GB, KiB, MiB or GiB up to 1 TiB", text)
}

// A Receipt is what /upload answers.
type Receipt struct {
	Bytes    int64       `json:"bytes"`
	SHA256   string      `json:"sha256"` // of the body, in hexadecimal
	Trailers http.Header `json:"trailers,omitempty"`
}

// upload reads the body to its end; what it counted is the answer.
func upload(w http.ResponseWriter, r *http.Request) {
	sum := sha256.New()
	n, err := io.Copy(sum, r.Body)
	if err != nil {
		http.Error(w, fmt.Sprintf("body broke off after %d bytes: %v", n, err), http.StatusBadRequest)
		return
	}
	writeJSON(w, Receipt{Bytes: n, SHA256: hex.EncodeToString(sum.Sum(nil)), Trailers: r.Trailer})
}

// sendTrailers answers one announced and one unannounced trailer field.
func sendTrailers(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Trailer", "X-Checksum")
	io.WriteString(w, "trailers follow\n")
	http.NewResponseController(w).Flush()
	w.Header().Set("X-Checksum", "b1946ac9")
	w.Header().Set(http.TrailerPrefix+"X-Unannounced", "yes")
}
