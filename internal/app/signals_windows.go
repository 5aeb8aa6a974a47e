package app

import "os"

// handledSignals are those that mean something: stop.
var handledSignals = []os.Signal{os.Interrupt}

func action(os.Signal) signalAction { return terminate }

// descriptorLimit is how many handles the process may use for connections.
func descriptorLimit() int { return 16384 }
