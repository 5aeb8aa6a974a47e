//go:build linux

package main

import (
	"fmt"
	"time"
)

// manyRouters is how many routers the second of the two instances has.
const manyRouters = 10_000

// measureRouters compares our gateway with one router and with many.
func (b *bench) measureRouters() error {
	if b.products[0].name != "pergola" {
		return nil // its absence is in the report already
	}
	few, err := b.start(b.products[0], nil)
	if err != nil {
		return err
	}
	defer few.stop()
	many, err := b.start(b.products[0], func(s *settings) {
		for n := 1; n < manyRouters; n++ {
			s.Routers = append(s.Routers, n)
		}
	})
	if err != nil {
		return err
	}
	defer many.stop()
	b.report.Routers = &loadReport{Set: "bare", Load: small.Name, Rounds: map[string][]round{}}
	for n := range b.rounds + 1 {
		for routers, i := range map[int]*instance{1: few, manyRouters: many} {
			duration := b.duration
			if n == 0 {
				duration = time.Second // warms up; not counted
			}
			r, err := b.drive(i, small, duration)
			if err != nil {
				return err
			}
			if n > 0 {
				key := fmt.Sprint(routers)
				b.report.Routers.Rounds[key] = append(b.report.Routers.Rounds[key], r)
			}
		}
	}
	return nil
}
