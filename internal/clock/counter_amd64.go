package clock

import (
	"bytes"
	"os"
)

// cycles is the time-stamp counter.
func cycles() uint64

// hasCounter reports whether the kernel makes its clock of that counter: it has then found it to be the same on all
// processors and to run at one pace whatever they do, and goes on looking whether it is. Other systems do not tell.
func hasCounter() bool {
	name, _ := os.ReadFile("/sys/devices/system/clocksource/clocksource0/current_clocksource")
	return string(bytes.TrimSpace(name)) == "tsc"
}
