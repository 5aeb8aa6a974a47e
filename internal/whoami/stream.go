package whoami

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/coder/websocket"
)

// stream sends server-sent events: the first at once, then one each interval.
func (b *Backend) stream(w http.ResponseWriter, r *http.Request) {
	count, interval, err := streamShape(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for i := 1; ; i++ {
		fmt.Fprintf(w, "id: %d\ndata: {\"event\":%d,\"from\":%q}\n\n", i, i, b.name)
		if http.NewResponseController(w).Flush() != nil || i == count {
			return
		}
		select {
		case <-ticker.C:
		case <-r.Context().Done():
			return
		case <-b.stopping.Done():
			return
		}
	}
}

func streamShape(r *http.Request) (count int, interval time.Duration, err error) {
	query := r.URL.Query()
	count, interval = 5, time.Second
	if text := query.Get("count"); text != "" {
		if count, err = strconv.Atoi(text); err != nil || count < 0 {
			return 0, 0, fmt.Errorf("count %q is not a number; 0 means endless", text)
		}
	}
	if text := query.Get("interval"); text != "" {
		if interval, err = time.ParseDuration(text); err != nil || interval <= 0 {
			return 0, 0, fmt.Errorf("interval %q is not a duration such as 100ms", text)
		}
	}
	return count, interval, nil
}

// echo sends every WebSocket message back until the client closes or the backend stops.
func (b *Backend) echo(w http.ResponseWriter, r *http.Request) {
	// The demonstration backend is spoken to from any page: it has no session an origin could abuse.
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return // Accept has answered with the reason
	}
	defer conn.CloseNow()
	conn.SetReadLimit(1 << 20)
	for {
		kind, message, err := conn.Read(b.stopping)
		if err != nil {
			return
		}
		write, cancel := context.WithTimeout(b.stopping, 10*time.Second)
		err = conn.Write(write, kind, message)
		cancel()
		if err != nil {
			return
		}
	}
}
