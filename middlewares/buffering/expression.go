package buffering

import (
	"errors"

	"github.com/pergola-mesh/pergola/middlewares/internal/expression"
)

// outcome is what came of an attempt.
type outcome struct {
	attempts, status int
	method           string
}

type value = expression.Value[outcome]

// parse reads a condition under which a request is sent again. byMethod says that it looks at the method.
func parse(text string) (test expression.Test[outcome], byMethod bool, err error) {
	plain := func(v value) expression.Function[outcome] {
		return func(args []float64) (value, error) {
			if len(args) != 0 {
				return v, errors.New("takes nothing")
			}
			byMethod = byMethod || v.Text != nil
			return v, nil
		}
	}
	test, err = expression.Parse(text, map[string]expression.Function[outcome]{
		"Attempts":       plain(value{Number: func(o outcome) float64 { return float64(o.attempts) }}),
		"ResponseCode":   plain(value{Number: func(o outcome) float64 { return float64(o.status) }}),
		"IsNetworkError": plain(value{Truth: func(o outcome) bool { return o.status == 502 || o.status == 504 }}),
		"RequestMethod":  plain(value{Text: func(o outcome) string { return o.method }}),
	})
	return test, byMethod, err
}
