// Package app puts the parts together: it reads the configuration, starts everything in order, and
// stops it in the other. It alone sees all packages.
package app

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/pergola-mesh/pergola/config/static"
	"github.com/pergola-mesh/pergola/internal/whoami"
)

// Stamped by the Makefile.
var (
	version = "dev"
	commit  = ""
	date    = ""
)

const usage = `Pergola is an edge gateway.

  pergola [flags]           run the gateway
  pergola check [flags]     validate the static and the dynamic configuration; exit 1 if anything is wrong,
                            not for what is only a warning
      --print               show the effective configuration and where each value came from
  pergola whoami [flags]    run a small HTTP server that answers with the request, to try things out
  pergola version           print the version
  pergola help              print this and every flag

The configuration is read from --configFile, or else from the first of /etc/pergola/pergola.*,
$XDG_CONFIG_HOME/pergola.*, ./pergola.* and ./traefik.* (.toml, .yaml, .yml). Environment variables
(PERGOLA_LOG_LEVEL=DEBUG) go over the file, flags (--log.level=DEBUG) over both.
`

// Exit codes.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

// Main runs the command that args name and returns the process's exit code.
func Main(args, environ []string, stdout, stderr io.Writer) int {
	command := ""
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		command, args = args[0], args[1:]
	}
	switch {
	case (command == "" || command == "check") && slices.ContainsFunc(args, isHelp):
		command = "help"
	case command == "" && len(args) > 0 && (args[0] == "-version" || args[0] == "--version"):
		command = "version"
	}
	switch command {
	case "":
		return run(args, environ, stderr)
	case "check":
		return check(args, environ, stdout, stderr)
	case "whoami":
		return runWhoami(args, stdout, stderr)
	case "version":
		fmt.Fprintln(stdout, versionText())
		return exitOK
	case "help":
		io.WriteString(stdout, usage+"\nFlags:\n")
		static.PrintFlags(stdout)
		return exitOK
	}
	fmt.Fprintf(stderr, "pergola: unknown command %q; pergola help lists them\n", command)
	return exitUsage
}

func isHelp(arg string) bool { return arg == "-h" || arg == "-help" || arg == "--help" }

func versionText() string {
	text := "pergola " + version
	for _, part := range []string{commitText(), date, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH} {
		if part != "" {
			text += " " + part
		}
	}
	return text
}

// commitText is the stamped commit, or the one the go command recorded.
func commitText() string {
	if commit != "" {
		return commit
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value
			}
		}
	}
	return ""
}

func runWhoami(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := whoami.Run(ctx, args, stdout)
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitOK
	}
	fmt.Fprintln(stderr, "pergola whoami:", err)
	return exitError
}
