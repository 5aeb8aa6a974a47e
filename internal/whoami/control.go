package whoami

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

func (b *Backend) showHealth(w http.ResponseWriter, _ *http.Request) {
	status := int(b.health.Load())
	w.WriteHeader(status)
	fmt.Fprintln(w, status, http.StatusText(status))
}

// setHealth takes the status that /health is to answer from the request body.
func (b *Backend) setHealth(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(io.LimitReader(r.Body, 16))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	status, err := parseStatus(strings.TrimSpace(string(text)))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	b.health.Store(int32(status))
	fmt.Fprintln(w, "health is now", status)
}

func answerStatus(w http.ResponseWriter, r *http.Request) {
	status, err := parseStatus(r.PathValue("code"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.WriteHeader(status)
	if status != http.StatusNoContent && status != http.StatusNotModified {
		fmt.Fprintln(w, status, http.StatusText(status))
	}
}

// parseStatus accepts the final statuses: an interim one (1xx) would leave the client waiting.
func parseStatus(text string) (int, error) {
	status, err := strconv.Atoi(text)
	if err != nil || status < 200 || status > 599 {
		return 0, fmt.Errorf("status %q is not a number from 200 to 599", text)
	}
	return status, nil
}

// delay shows the request after a pause, unless the client leaves first.
func (b *Backend) delay(w http.ResponseWriter, r *http.Request) {
	text := r.PathValue("for")
	if text == "" {
		text = r.URL.Query().Get("for")
	}
	pause, err := time.ParseDuration(text)
	if err != nil {
		http.Error(w, fmt.Sprintf("delay %q is not a duration such as 250ms or 2s", text), http.StatusBadRequest)
		return
	}
	select {
	case <-time.After(pause):
		b.show(w, r)
	case <-r.Context().Done():
	}
}
