//go:build race

package exchangetest

// UnderRace says that sync.Pool drops things at random, so that allocations cannot be counted.
const UnderRace = true
