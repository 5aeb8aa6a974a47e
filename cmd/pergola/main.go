// Command pergola is the gateway: see README.md.
package main

import (
	"os"

	"github.com/pergola-mesh/pergola/internal/app"
)

func main() { os.Exit(app.Main(os.Args[1:], os.Environ(), os.Stdout, os.Stderr)) }
