package app

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"

	"github.com/pergola-mesh/pergola/internal/handover"
)

// inherit collects the listening sockets that systemd passes, and those of the process that this one
// replaces, if one runs. It serves on until ready.
func (p *process) inherit() (*handover.Predecessor, error) {
	if err := p.sockets.AddSystemd(); err != nil {
		return nil, err
	}
	path := p.config.Restart.Socket
	if path == "" {
		return nil, nil
	}
	before, err := handover.Take(path, p.sockets)
	if err != nil {
		return nil, fmt.Errorf("restart.socket: %w", err)
	}
	p.sockets.KeepState(p.core.identity.Tickets)
	if before == nil {
		return nil, nil
	}
	p.logs.Info("taking over", "from", before.PID)
	if err := p.core.identity.UseTickets(p.sockets.State()); err != nil {
		p.logs.Warn("sessions of TLS are not resumed across this restart", "error", err)
	}
	return before, nil
}

// ready ends the time in which two processes accept, and has this one replaced in its turn. The error
// is that this one is not needed.
func (p *process) ready(before *handover.Predecessor) error {
	for _, address := range p.sockets.CloseUnused() {
		p.logs.Warn("a socket that was passed to this process belongs to none of its entry points", "socket", address)
	}
	if before != nil {
		defer before.Done()
		if err := before.Ready(); errors.Is(err, handover.ErrLate) {
			return err
		} else if err != nil {
			p.logs.Error("the process before this one has not stopped accepting", "pid", before.PID, "error", err)
		}
	}
	if path := p.config.Restart.Socket; path != "" {
		var err error
		p.successor, err = handover.Serve(path, p.sockets, p.logs.Logger, func() {
			p.gateway.StopAccepting()
			close(p.replaced)
		})
		if err != nil {
			p.logs.Error("this process cannot be replaced without loss: restart.socket cannot be served", "error", err)
		}
	}
	if err := handover.Notify("READY=1", "MAINPID="+strconv.Itoa(os.Getpid())); err != nil {
		p.logs.Warn("the service manager could not be told that the gateway is ready", "error", err)
	}
	return nil
}

// spawn starts the program that is now at this one's path, with the same arguments, to replace it.
func (p *process) spawn() error {
	if p.successor == nil {
		return errors.New("restart.socket is not set, or could not be served when this process started")
	}
	path, err := os.Executable()
	if err != nil {
		return err
	}
	child := exec.Command(path, os.Args[1:]...)
	child.Stdin, child.Stdout, child.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := child.Start(); err != nil {
		return err
	}
	p.logs.Info("started a process to replace this one", "pid", child.Process.Pid)
	go func() {
		if err := child.Wait(); err != nil {
			p.logs.Error("the process that was to replace this one has ended; serving on", "error", err)
		}
	}()
	return nil
}
