package expression

import (
	"errors"
	"strings"
	"testing"
)

var functions = map[string]Function[int]{
	"N": func(args []float64) (Value[int], error) {
		if len(args) > 0 {
			return Value[int]{}, errors.New("takes nothing")
		}
		return Value[int]{Number: func(n int) float64 { return float64(n) }}, nil
	},
	"Odd": func([]float64) (Value[int], error) {
		return Value[int]{Truth: func(n int) bool { return n%2 == 1 }}, nil
	},
	"Name": func([]float64) (Value[int], error) { return Value[int]{Text: func(int) string { return "b" }}, nil },
}

func TestParse(t *testing.T) {
	for text, want := range map[string]bool{
		"N() > 3":                        false,
		"N() >= 3":                       true,
		"N() < 3":                        false,
		"N() <= 3 && Odd()":              true,
		"N() == 3.0":                     true,
		"N() != 3 || !Odd()":             false,
		"!(N() > 3) && (2 < N())":        true,
		`Name() == "b" && Name() != "c"`: true,
		"Name() == `a` || N() == 1":      false,
	} {
		test, err := Parse(text, functions)
		if err != nil || test(3) != want {
			t.Errorf("%s: %v, want %v", text, err, want)
		}
	}
}

func TestErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                 "is not an expression",
		"N() >":            "is not an expression",
		"3":                "a comparison is expected",
		"N()":              "a comparison is expected",
		"-N() > 3":         "a number or a function is expected",
		"-Odd()":           "a comparison is expected",
		"N() + 3":          "does not compare",
		`N() == "3"`:       "only compares with",
		"Odd() == 1":       "only compares with",
		"N(1) > 3":         "N takes nothing",
		"N(x) > 3":         "a number or a function is expected",
		"M() > 3":          "unknown function M: there are N, Name, Odd",
		"x.N() > 3":        "unknown function",
		"Odd() && M() > 3": "unknown function M",
		"N() > 1i":         "a number or a function is expected",
	} {
		if _, err := Parse(text, functions); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`!(N() > 3) && Odd() || Name() == "b"`)
	f.Fuzz(func(t *testing.T, text string) {
		if test, err := Parse(text, functions); err == nil {
			test(3)
		}
	})
}
