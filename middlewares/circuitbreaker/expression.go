package circuitbreaker

import (
	"errors"

	"github.com/pergola-mesh/pergola/middlewares/internal/expression"
)

// parse reads a condition.
func parse(text string) (expression.Test[*window], error) { return expression.Parse(text, functions) }

var functions = map[string]expression.Function[*window]{
	"NetworkErrorRatio": func(args []float64) (v expression.Value[*window], err error) {
		if len(args) != 0 {
			return v, errors.New("takes nothing")
		}
		v.Number = (*window).networkErrors
		return v, nil
	},
	"LatencyAtQuantileMS": func(args []float64) (v expression.Value[*window], err error) {
		if len(args) != 1 || args[0] < 0 || args[0] > 100 {
			return v, errors.New("takes a quantile between 0 and 100, such as 50.0")
		}
		v.Number = func(w *window) float64 { return w.latency(args[0]) }
		return v, nil
	},
	"ResponseCodeRatio": func(args []float64) (v expression.Value[*window], err error) {
		if len(args) != 4 || args[0] >= args[1] || args[2] >= args[3] {
			return v, errors.New("takes four statuses: from and to of those that are counted, and of those that they are a share of, such as 500, 600, 0, 600")
		}
		a, b, c, d := int(args[0]), int(args[1]), int(args[2]), int(args[3])
		v.Number = func(w *window) float64 { return w.codes(a, b, c, d) }
		return v, nil
	},
}
