package exchange

import (
	"net/http"
	"strconv"
)

var statusTexts, statusBodies = func() (texts, bodies [1000][]byte) {
	for code := 100; code < 1000; code++ {
		text := http.StatusText(code)
		if code == 499 {
			text = "Client Closed Request"
		}
		if text != "" {
			texts[code] = []byte(text)
			bodies[code] = []byte(text + "\n")
		}
	}
	return
}()

// StatusText is the reason phrase of a status; empty for an unknown one. Do not change it.
func StatusText(status int) []byte {
	if status < 0 || status >= len(statusTexts) {
		return nil
	}
	return statusTexts[status]
}

func statusBody(status int) []byte {
	if status < 0 || status >= len(statusBodies) || statusBodies[status] == nil {
		return []byte(strconv.Itoa(status) + "\n")
	}
	return statusBodies[status]
}
