//go:build unix

package app

import (
	"os"
	"syscall"
)

// handledSignals are those that mean something: stop (TERM, INT), reload (HUP), reopen logs (USR1),
// start a process that replaces this one (USR2).
var handledSignals = []os.Signal{syscall.SIGTERM, os.Interrupt, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2}

func action(s os.Signal) signalAction {
	switch s {
	case syscall.SIGHUP:
		return reload
	case syscall.SIGUSR1:
		return reopen
	case syscall.SIGUSR2:
		return replace
	}
	return terminate
}

// descriptorLimit is how many descriptors the process may have.
func descriptorLimit() int {
	var r syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r) != nil {
		return 1024
	}
	return int(min(r.Cur, 1<<20))
}
