package acme

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/go-acme/lego/v5/acme"

	"github.com/pergola-mesh/pergola/identity/acme/storage"
)

// Let's Encrypt refuses a name after five failed validations in an hour: with this first pause, doubled
// each time, there are no more.
const (
	firstPause = 2 * time.Minute
	longPause  = 12 * time.Hour
)

// failAgain is the failure after f.
func failAgain(f storage.Failure, err error, now time.Time) storage.Failure {
	pause := longPause
	if f.Count < 16 {
		pause = min(longPause, firstPause<<f.Count)
	}
	pause += rand.N(pause / 10)
	var limited *acme.RateLimitedError
	if errors.As(err, &limited) && limited.RetryAfter > pause {
		pause = limited.RetryAfter
	}
	return storage.Failure{Count: f.Count + 1, Until: now.Add(pause).Round(time.Second), Error: err.Error()}
}
