// Package expression reads the conditions that configurations write, in the syntax of a Go expression:
// comparisons of functions with numbers or strings, put together by &&, ||, ! and brackets.
package expression

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Test is a condition on a T.
type Test[T any] func(T) bool

// Value is what a function makes of a T: one of the three is set.
type Value[T any] struct {
	Number func(T) float64
	Text   func(T) string
	Truth  func(T) bool
}

// Function is a function that conditions may use, called once for each use with the numbers it was
// written with. Its error says what it takes, such as "takes nothing".
type Function[T any] func(args []float64) (Value[T], error)

// Parse reads a condition that uses the functions.
func Parse[T any](text string, functions map[string]Function[T]) (Test[T], error) {
	e, err := parser.ParseExpr(text)
	if err != nil {
		return nil, fmt.Errorf("%q is not an expression: %w", text, err)
	}
	return reader[T](functions).condition(e)
}

type reader[T any] map[string]Function[T]

func (r reader[T]) condition(e ast.Expr) (Test[T], error) {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return r.condition(e.X)
	case *ast.UnaryExpr:
		if e.Op != token.NOT {
			break
		}
		x, err := r.condition(e.X)
		return func(t T) bool { return !x(t) }, err
	case *ast.BinaryExpr:
		if e.Op == token.LAND || e.Op == token.LOR {
			return r.both(e)
		}
		return r.comparison(e)
	case *ast.CallExpr:
		v, err := r.call(e)
		if err != nil || v.Truth != nil {
			return v.Truth, err
		}
	}
	return nil, fmt.Errorf("at character %d: a comparison is expected", e.Pos())
}

func (r reader[T]) both(e *ast.BinaryExpr) (Test[T], error) {
	x, err := r.condition(e.X)
	if err != nil {
		return nil, err
	}
	y, err := r.condition(e.Y)
	if err != nil {
		return nil, err
	}
	if e.Op == token.LAND {
		return func(t T) bool { return x(t) && y(t) }, nil
	}
	return func(t T) bool { return x(t) || y(t) }, nil
}

func (r reader[T]) comparison(e *ast.BinaryExpr) (Test[T], error) {
	x, err := r.value(e.X)
	if err != nil {
		return nil, err
	}
	y, err := r.value(e.Y)
	if err != nil {
		return nil, err
	}
	switch {
	case x.Number != nil && y.Number != nil:
		return compare(e, x.Number, y.Number)
	case x.Text != nil && y.Text != nil:
		return compare(e, x.Text, y.Text)
	}
	return nil, fmt.Errorf("at character %d: a number only compares with a number, a string with a string", e.OpPos)
}

func compare[T any, V cmp.Ordered](e *ast.BinaryExpr, x, y func(T) V) (Test[T], error) {
	switch e.Op {
	case token.GTR:
		return func(t T) bool { return x(t) > y(t) }, nil
	case token.GEQ:
		return func(t T) bool { return x(t) >= y(t) }, nil
	case token.LSS:
		return func(t T) bool { return x(t) < y(t) }, nil
	case token.LEQ:
		return func(t T) bool { return x(t) <= y(t) }, nil
	case token.EQL:
		return func(t T) bool { return x(t) == y(t) }, nil
	case token.NEQ:
		return func(t T) bool { return x(t) != y(t) }, nil
	}
	return nil, fmt.Errorf("at character %d: %s does not compare: use >, >=, <, <=, == or !=", e.OpPos, e.Op)
}

// value reads a number, a string or a function.
func (r reader[T]) value(e ast.Expr) (Value[T], error) {
	if call, ok := e.(*ast.CallExpr); ok {
		return r.call(call)
	}
	if l, ok := e.(*ast.BasicLit); ok && l.Kind == token.STRING {
		text, err := strconv.Unquote(l.Value)
		return Value[T]{Text: func(T) string { return text }}, err
	}
	n, err := literal(e)
	return Value[T]{Number: func(T) float64 { return n }}, err
}

func literal(e ast.Expr) (float64, error) {
	if l, ok := e.(*ast.BasicLit); ok && (l.Kind == token.INT || l.Kind == token.FLOAT) {
		if n, err := strconv.ParseFloat(l.Value, 64); err == nil {
			return n, nil
		}
	}
	return 0, fmt.Errorf("at character %d: a number or a function is expected", e.Pos())
}

func (r reader[T]) call(call *ast.CallExpr) (Value[T], error) {
	name := ""
	if f, ok := call.Fun.(*ast.Ident); ok {
		name = f.Name
	}
	function, ok := r[name]
	if !ok {
		return Value[T]{}, fmt.Errorf("at character %d: unknown function %s: there are %s",
			call.Pos(), name, strings.Join(slices.Sorted(maps.Keys(r)), ", "))
	}
	var args []float64
	for _, a := range call.Args {
		n, err := literal(a)
		if err != nil {
			return Value[T]{}, err
		}
		args = append(args, n)
	}
	v, err := function(args)
	if err != nil {
		return v, fmt.Errorf("at character %d: %s %w", call.Pos(), name, err)
	}
	return v, nil
}
