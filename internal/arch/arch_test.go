package arch

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/pergola-mesh/pergola"

// maxLines is where a file has certainly taken in a second idea.
const maxLines = 600

// A listed package is what go list tells of one.
type listed struct {
	ImportPath string
	Dir        string
	Imports    []string
	GoFiles    []string
}

// folder is the package's place in the module, such as "proxy/h1".
func (p *listed) folder() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
}

// list asks the go command for all packages of the module, on the system that has all of them.
func list(t *testing.T) []*listed {
	t.Helper()
	command := exec.Command("go", "list", "-e", "-pgo=off", "-json=ImportPath,Dir,Imports,GoFiles", module+"/...")
	command.Env = append(os.Environ(), "GOOS=linux")
	var stderr bytes.Buffer
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	var packages []*listed
	for decoder := json.NewDecoder(bytes.NewReader(output)); ; {
		p := new(listed)
		if err := decoder.Decode(p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if len(p.GoFiles) > 0 {
			packages = append(packages, p)
		}
	}
	if len(packages) < 10 {
		t.Fatalf("go list found %d packages only", len(packages))
	}
	return packages
}

func TestImportRules(t *testing.T) {
	for _, p := range list(t) {
		i := slices.IndexFunc(rules, func(r rule) bool { return matches(r.packages, p.folder()) })
		if i < 0 {
			t.Errorf("%s: no rule says what it may import: add one to internal/arch/rules_test.go", p.folder())
			continue
		}
		for _, imported := range p.Imports {
			if !rules[i].allows(imported) {
				t.Errorf("%s imports %s, which the rule for %s forbids: %s",
					p.folder(), imported, rules[i].packages, rules[i].why)
			}
		}
	}
}

// allows says whether the rule lets its packages import a path.
func (r rule) allows(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	if folder, ours := strings.CutPrefix(path, module+"/"); ours {
		return r.siblings && matches(r.packages, folder) ||
			slices.ContainsFunc(r.own, func(pattern string) bool { return matches(pattern, folder) })
	} else if strings.Contains(first, ".") {
		return slices.ContainsFunc(r.modules, func(prefix string) bool { return strings.HasPrefix(path, prefix) })
	}
	return !slices.Contains(r.never, path)
}

// matches says whether a folder is one that the pattern means.
func matches(pattern, folder string) bool {
	if pattern == leaves {
		return matches("internal/...", folder) &&
			!slices.ContainsFunc(notLeaves, func(other string) bool { return matches(other, folder) })
	}
	below, all := strings.CutSuffix(pattern, "...")
	if !all {
		return pattern == folder
	}
	return below == "" || strings.HasPrefix(folder+"/", below)
}

// TestRulesAreHeld shows the rules refusing what they are there to refuse.
func TestRulesAreHeld(t *testing.T) {
	for _, test := range []struct {
		folder, imported string
		want             bool
	}{
		{"cmd/pergola", module + "/internal/app", true},
		{"cmd/pergola", module + "/gateway", false},
		{"gateway", module + "/meshproxy", false},
		{"meshproxy/inbound", module + "/gateway", false},
		{"gateway", module + "/proxy/snapshot", true},
		{"middlewares/retry", module + "/middlewares/compress", false},
		{"middlewares/retry", module + "/proxy/exchange", true},
		{"middlewares/retry", "net", false},
		{"middlewares/retry", "net/netip", true},
		{"middlewares/retry", module + "/proxy/h1", false},
		{"providers/file", module + "/config/dynamic", true},
		{"providers/file", module + "/proxy/snapshot", false},
		{"providers/file", module + "/providers/consul", false},
		{"proxy/h1", module + "/config/dynamic", false},
		{"proxy/upstream/balance", module + "/config/dynamic", false},
		{"proxy/snapshot", module + "/config/dynamic", true},
		{"proxy/snapshot", module + "/providers/file", false},
		{"proxy/exchange", "golang.org/x/net/http2", false},
		{"internal/clock", "golang.org/x/sys/unix", true},
		{"internal/clock", "golang.org/x/net/http2", false},
		{"internal/clock", module + "/config/static", false},
		{"internal/clock", module + "/internal/sweep", true},
		{"internal/clock", module + "/internal/whoami", false},
		{"proxy/exchange", module + "/internal/app", false},
		{"dashboard/api", module + "/proxy/upstream", false},
		{"integration/bench", module + "/internal/app", false},
	} {
		i := slices.IndexFunc(rules, func(r rule) bool { return matches(r.packages, test.folder) })
		if i < 0 {
			t.Fatalf("no rule for %s", test.folder)
		}
		if got := rules[i].allows(test.imported); got != test.want {
			t.Errorf("%s imports %s: allowed is %v, want %v", test.folder, test.imported, got, test.want)
		}
	}
}

// TestFilesAreShort and have their say: one idea a file, and a sentence for each package.
func TestFilesAreShort(t *testing.T) {
	for _, p := range list(t) {
		documented := false
		for _, name := range p.GoFiles {
			path := filepath.Join(p.Dir, name)
			source, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if lines := bytes.Count(source, []byte("\n")); lines > maxLines {
				t.Errorf("%s/%s has %d lines, more than %d: a second idea has moved in, give it a file of its own",
					p.folder(), name, lines, maxLines)
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, source, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			documented = documented || file.Doc != nil
		}
		if !documented {
			t.Errorf("%s has no package comment: say in one sentence what it is", p.folder())
		}
	}
}
