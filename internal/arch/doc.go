// Package arch states the architecture's import rules, and what the house style can measure, as tests.
//
// It holds no code: rules_test.go is the list to read and to change when a rule does.
package arch
