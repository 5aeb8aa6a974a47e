package static

import (
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/pergola-mesh/pergola/config/load"
)

// userinfo is the name and password in a URL.
var userinfo = regexp.MustCompile(`://[^/?#@\s"]*@`)

// Print writes the effective configuration, a line a value: "key = value  # origin". Secrets are
// not shown.
func (l *Loaded) Print(w io.Writer) error {
	var b strings.Builder
	source := l.File
	if source == "" {
		source = "no configuration file"
	}
	fmt.Fprintf(&b, "# %s\n", source)
	for _, k := range load.Values(l.Config) {
		if k.Secret && k.Value != `""` {
			k.Value = `"***"`
		}
		k.Value = userinfo.ReplaceAllString(k.Value, "://***@")
		if k.Type == "section" {
			k.Value = "{}"
		}
		fmt.Fprintf(&b, "%s = %s  # %s\n", k.Path, k.Value, l.Origin(k.Path))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// PrintFlags writes the flags, for help: every key with its default and what it does.
func PrintFlags(w io.Writer) error {
	var b strings.Builder
	for _, k := range reference() {
		if k.Type == "section" && !k.Off || k.Type == "names" && k.holds || k.missing != "" {
			continue
		}
		fmt.Fprintf(&b, "  --%s", k.Path)
		if k.Type != "section" {
			fmt.Fprintf(&b, "  (%s", k.Type)
			if k.Value != "" && k.Value != `""` && k.Value != "[]" {
				fmt.Fprintf(&b, ", default %s", k.Value)
			}
			b.WriteString(")")
		}
		fmt.Fprintf(&b, "\n        %s\n", k.Description)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
