package static

import (
	"fmt"
	"io"
	"strings"

	"github.com/pergola-mesh/pergola/config/load"
)

// entry is a key as the reference and the help show it.
type entry struct {
	load.Key
	missing string // the feature that this build does not have
	holds   bool   // the keys of what it names follow
}

// reference lists every key of the static configuration.
func reference() []entry {
	c := &Configuration{}
	c.SetDefaults()
	keys := load.Keys(c)
	entries := make([]entry, len(keys))
	for i, k := range keys {
		entries[i] = entry{Key: k, missing: missingFeature(k.Path)}
		entries[i].holds = i+1 < len(keys) && strings.HasPrefix(keys[i+1].Path, k.Path+".")
	}
	return entries
}

func missingFeature(path string) string {
	for _, row := range unbuilt {
		pattern := strings.ReplaceAll(row.Key, "*", "<name>")
		if rest, ok := strings.CutPrefix(path, pattern); ok && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			return row.Feature
		}
	}
	return ""
}

// WriteReference writes docs/reference/static.md.
func WriteReference(w io.Writer) error {
	var b strings.Builder
	b.WriteString(referenceHead)
	section := ""
	var later []entry
	for _, e := range reference() {
		if e.missing != "" {
			later = append(later, e)
			continue
		}
		root, _, _ := strings.Cut(e.Path, ".")
		if root != section {
			section = root
			fmt.Fprintf(&b, "\n## %s\n\n| key | type | default | |\n|---|---|---|---|\n", root)
		}
		b.WriteString(e.row())
	}
	b.WriteString("\n## Known, and not in this build\n\nUsing one of these is an error that says so.\n\n| key | what it needs |\n|---|---|\n")
	listed := map[string]bool{}
	for _, e := range later {
		listed[e.Path] = true
		fmt.Fprintf(&b, "| `%s` | %s |\n", e.Path, e.missing)
	}
	for _, row := range unbuilt {
		if path := strings.ReplaceAll(row.Key, "*", "<name>"); !listed[path] {
			fmt.Fprintf(&b, "| `%s` | %s |\n", path, row.Feature)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (e entry) row() string {
	value := e.Value
	switch {
	case e.Off:
		value = "off"
	case value == `""` || value == "[]" || value == "":
		value = ""
	default:
		value = "`" + value + "`"
	}
	description := strings.ReplaceAll(e.Description, "|", `\|`)
	if e.Ours {
		description += " *Pergola's own.*"
	}
	return fmt.Sprintf("| `%s` | %s | %s | %s |\n", e.Path, e.Type, value, description)
}

const referenceHead = `# Static configuration

What a process starts with: a change takes [a new process](../restart.md). It is read from a file, the environment and flags, in rising precedence;
` + "`pergola check --print`" + ` shows every effective value and where it came from.

- **File**: the one ` + "`--configFile`" + ` (or ` + "`PERGOLA_CONFIGFILE`" + `) names, or the first of ` + "`/etc/pergola/pergola.*`, `$XDG_CONFIG_HOME/pergola/pergola.*`, `$XDG_CONFIG_HOME/pergola.*`, `./pergola.*`, `./traefik.*`" + ` with .toml, .yaml or .yml.
- **Environment**: ` + "`PERGOLA_ENTRYPOINTS_WEB_ADDRESS=:80`" + `: the key in capitals, with underscores, and for an item of a list its number: ` + "`…_HTTP_TLS_DOMAINS_0_MAIN`" + `. ` + "`TRAEFIK_…`" + ` is read too and counts less.
- **Flags**: ` + "`--entryPoints.web.address=:80`" + `. Booleans and sections need no value; a list may be repeated or separated by commas.

Keys are those of Traefik v3. They compare without regard to case, and so do the words that some take, such as
` + "`json`" + `. An unknown key is an error; one that
has no effect on an entry point, since that is for UDP, is a warning in the log and of ` + "`pergola check`" + `. A duration is a number with a unit, such as ` + "`10s` or `500ms`" + `; a
bare integer is seconds. ` + "`off`" + ` as default means that the section is not there unless it is written;
` + "`ping: {}`" + ` or ` + "`--ping`" + ` turns it on.

Dynamic configuration may stand in the same file (` + "`http`, `tcp`, `udp`, `tls`" + `), as long as ` + "`providers.file`" + ` names
that file, or a directory that it is in; otherwise it is a warning.

Where nothing is stated, the defaults are stricter than Traefik's; what a file states is kept.
The timeouts of an entry point bound stalls, not whole requests: a transfer that moves is not cut off.
`
