package circuitbreaker

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
)

// test is a condition, number what it compares.
type (
	test   func(*window) bool
	number func(*window) float64
)

// parse reads a condition: comparisons of NetworkErrorRatio(), LatencyAtQuantileMS(q) and
// ResponseCodeRatio(from, to, from, to) with numbers, put together by &&, ||, ! and brackets. Its syntax is
// that of a Go expression.
func parse(text string) (test, error) {
	e, err := parser.ParseExpr(text)
	if err != nil {
		return nil, fmt.Errorf("%q is not an expression such as NetworkErrorRatio() > 0.30 || LatencyAtQuantileMS(50.0) > 100: %w", text, err)
	}
	return condition(e)
}

func condition(e ast.Expr) (test, error) {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return condition(e.X)
	case *ast.UnaryExpr:
		if e.Op != token.NOT {
			break
		}
		x, err := condition(e.X)
		return func(w *window) bool { return !x(w) }, err
	case *ast.BinaryExpr:
		if e.Op == token.LAND || e.Op == token.LOR {
			return both(e)
		}
		return comparison(e)
	}
	return nil, fmt.Errorf("at character %d: a comparison such as NetworkErrorRatio() > 0.30 is expected", e.Pos())
}

func both(e *ast.BinaryExpr) (test, error) {
	x, err := condition(e.X)
	if err != nil {
		return nil, err
	}
	y, err := condition(e.Y)
	if err != nil {
		return nil, err
	}
	if e.Op == token.LAND {
		return func(w *window) bool { return x(w) && y(w) }, nil
	}
	return func(w *window) bool { return x(w) || y(w) }, nil
}

func comparison(e *ast.BinaryExpr) (test, error) {
	x, err := value(e.X)
	if err != nil {
		return nil, err
	}
	y, err := value(e.Y)
	if err != nil {
		return nil, err
	}
	switch e.Op {
	case token.GTR:
		return func(w *window) bool { return x(w) > y(w) }, nil
	case token.GEQ:
		return func(w *window) bool { return x(w) >= y(w) }, nil
	case token.LSS:
		return func(w *window) bool { return x(w) < y(w) }, nil
	case token.LEQ:
		return func(w *window) bool { return x(w) <= y(w) }, nil
	case token.EQL:
		return func(w *window) bool { return x(w) == y(w) }, nil
	case token.NEQ:
		return func(w *window) bool { return x(w) != y(w) }, nil
	}
	return nil, fmt.Errorf("at character %d: %s does not compare: use >, >=, <, <=, == or !=", e.OpPos, e.Op)
}

// value reads a number or a function.
func value(e ast.Expr) (number, error) {
	if call, ok := e.(*ast.CallExpr); ok {
		return function(call)
	}
	n, err := literal(e)
	return func(*window) float64 { return n }, err
}

func literal(e ast.Expr) (float64, error) {
	if l, ok := e.(*ast.BasicLit); ok && (l.Kind == token.INT || l.Kind == token.FLOAT) {
		if n, err := strconv.ParseFloat(l.Value, 64); err == nil {
			return n, nil
		}
	}
	return 0, fmt.Errorf("at character %d: a number or a function is expected", e.Pos())
}

func function(call *ast.CallExpr) (number, error) {
	name := ""
	if f, ok := call.Fun.(*ast.Ident); ok {
		name = f.Name
	}
	var args []float64
	for _, a := range call.Args {
		n, err := literal(a)
		if err != nil {
			return nil, err
		}
		args = append(args, n)
	}
	wrong := func(want string) error {
		return fmt.Errorf("at character %d: %s takes %s", call.Pos(), name, want)
	}
	switch name {
	case "NetworkErrorRatio":
		if len(args) != 0 {
			return nil, wrong("nothing")
		}
		return (*window).networkErrors, nil
	case "LatencyAtQuantileMS":
		if len(args) != 1 || args[0] < 0 || args[0] > 100 {
			return nil, wrong("a quantile between 0 and 100, such as 50.0")
		}
		return func(w *window) float64 { return w.latency(args[0]) }, nil
	case "ResponseCodeRatio":
		if len(args) != 4 || args[0] >= args[1] || args[2] >= args[3] {
			return nil, wrong("four statuses: from and to of those that are counted, and of those that they are a share of, such as 500, 600, 0, 600")
		}
		a, b, c, d := int(args[0]), int(args[1]), int(args[2]), int(args[3])
		return func(w *window) float64 { return w.codes(a, b, c, d) }, nil
	}
	return nil, fmt.Errorf("at character %d: unknown function %s: there are NetworkErrorRatio, LatencyAtQuantileMS and ResponseCodeRatio", call.Pos(), name)
}
