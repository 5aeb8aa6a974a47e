//go:build linux

package harness

import (
	"io"
	"net/http"
	"time"

	"golang.org/x/crypto/ocsp"
)

// ServeOCSP answers for the authority's certificates, all of which are good, and has those that it issues
// from now on name the place.
func (a *Authority) ServeOCSP() {
	a.t.Helper()
	a.responder = Serve(a.t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		question, err := ocsp.ParseRequest(body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		answer, err := ocsp.CreateResponse(a.made.Certificate, a.made.Certificate, ocsp.Response{
			Status: ocsp.Good, SerialNumber: question.SerialNumber, ThisUpdate: time.Now(), NextUpdate: time.Now().Add(24 * time.Hour),
		}, a.made.Key)
		if err != nil {
			a.t.Errorf("OCSP: %v", err)
		}
		w.Header().Set("Content-Type", "application/ocsp-response")
		w.Write(answer)
	}))
}
