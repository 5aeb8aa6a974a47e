package snapshot

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pergola-mesh/pergola/config/dynamic"
	"github.com/pergola-mesh/pergola/config/load"
	"github.com/pergola-mesh/pergola/middlewares"
)

// The reference has every key, with its type and default, and no other.
func TestReferenceHasEveryKey(t *testing.T) {
	content, err := os.ReadFile("../../docs/reference/dynamic.md")
	if err != nil {
		t.Fatal(err)
	}
	doc := string(content)
	built, missing, _ := strings.Cut(doc, "## Known, and not in this build")
	documented := documentedKeys(built)
	for _, k := range load.Keys(&dynamic.Configuration{HTTP: &dynamic.HTTPConfiguration{}, TCP: &dynamic.TCPConfiguration{},
		UDP: &dynamic.UDPConfiguration{}, TLS: &dynamic.TLSConfiguration{}}) {
		section := strings.Split(k.Path, ".")
		if section[0] == "tls" {
			if k.Path == "tls" || k.Type == "names" || strings.HasSuffix(k.Path, "<name>") {
				continue // explained in prose
			}
			section = append(section, "", "")
		}
		if len(section) > 4 {
			section = section[:4]
		}
		if strings.Contains(missing, "| `"+strings.Join(section, ".")+"` |") {
			continue
		}
		if k.Path == "http" || len(section) < 4 || section[1] == "middlewares" || strings.HasSuffix(k.Path, "[n]") {
			continue // explained in prose
		}
		want := k.Type + "|" + shownDefault(k)
		if got := documented[k.Path]; got != want {
			t.Errorf("%s is documented as %q, and is %q", k.Path, got, want)
		}
		delete(documented, k.Path)
	}
	for path := range documented {
		t.Errorf("%s is documented and is no key", path)
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range middlewares.Kinds() {
		if kind == "ipWhiteList" {
			continue // the old name of another
		}
		if !strings.Contains(built, "["+kind+"](../../middlewares/") {
			t.Errorf("the reference does not list the middleware %s", kind)
		}
		if !regexp.MustCompile(`(?m)^\| Middlewares \|.* ` + kind + `\b`).Match(readme) {
			t.Errorf("README.md does not list the middleware %s", kind)
		}
	}
	for _, m := range listedKind.FindAllStringSubmatch(built, -1) {
		if _, err := os.Stat("../../" + m[2]); err != nil || !slices.Contains(middlewares.Kinds(), m[1]) {
			t.Errorf("the reference lists the middleware %s, which does not exist: %v", m[1], err)
		}
	}
}

// shownDefault is a key's default as the reference has it.
func shownDefault(k load.Key) string {
	switch {
	case k.Off:
		return "off"
	case k.Value == `""`, k.Value == "[]", k.Value == "":
		return ""
	case strings.HasPrefix(k.Path, "http.routers.<name>.observability."),
		k.Path == "tls.options.<name>.sniStrict", k.Path == "tls.options.<name>.preferServerCipherSuites":
		return "" // unset is neither true nor false
	}
	return "`" + k.Value + "`"
}

var (
	below = regexp.MustCompile("^Below `([^`]*)`")
	// listedKind is a link to the page of a kind of middleware.
	listedKind = regexp.MustCompile(`\[(\w+)\]\(../../(middlewares/\w+/README\.md)\)`)

	row = regexp.MustCompile("^\\| `([^`]*)` \\| (\\w+) \\| ([^|]*) ?\\| .+ \\|$")
)

// documentedKeys are the types and defaults of the tables' rows, by the key's whole path.
func documentedKeys(doc string) map[string]string {
	keys := map[string]string{}
	base := ""
	for line := range strings.Lines(doc) {
		line = strings.TrimSpace(line)
		if m := below.FindStringSubmatch(line); m != nil {
			base = m[1] + "."
		}
		if m := row.FindStringSubmatch(line); m != nil {
			keys[base+m[1]] = m[2] + "|" + strings.TrimSpace(m[3])
		}
	}
	return keys
}
