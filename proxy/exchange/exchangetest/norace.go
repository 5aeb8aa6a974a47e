//go:build !race

package exchangetest

const underRace = false
