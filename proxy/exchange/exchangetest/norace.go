//go:build !race

package exchangetest

// UnderRace is false: allocations can be counted.
const UnderRace = false
