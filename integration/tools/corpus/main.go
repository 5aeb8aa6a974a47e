// Command corpus keeps a small selection of what fuzzing has found: the inputs that reach code, or reach it
// more often, than any input before them does. They go to testdata/fuzz, beside those that are there
// already, which stay.
//
//	go run ./integration/tools/corpus [-only regexp]
//
// It reads Go's own cache of interesting inputs, so run the fuzz targets first (make fuzz).
package main

import (
	"bytes"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// Limits of what is kept for each target.
const (
	maxFiles = 60
	maxBytes = 200 << 10
	maxInput = 16 << 10
)

func main() {
	log.SetFlags(0)
	only := flag.String("only", ".", "the targets to look at: a regular expression over \"package target\"")
	flag.Parse()
	wanted, err := regexp.Compile(*only)
	if err != nil {
		log.Fatal(err)
	}
	cache := output("go", "env", "GOCACHE")
	for _, line := range strings.Split(output("go", "list", "-f", "{{.ImportPath}} {{.Dir}}", "./..."), "\n") {
		pkg, dir, _ := strings.Cut(line, " ")
		for _, name := range targetsIn(dir) {
			if !wanted.MatchString(pkg + " " + name) {
				continue
			}
			t := target{pkg: pkg, dir: dir, name: name, found: filepath.Join(cache, "fuzz", pkg, name)}
			if err := t.keep(); err != nil {
				log.Fatalf("%s %s: %v", pkg, name, err)
			}
		}
	}
}

// output is what a command prints; failing, it ends the program.
func output(name string, args ...string) string {
	cmd := exec.Command(name, args...)
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	if err != nil {
		log.Fatalf("%s: %v", cmd, err)
	}
	return strings.TrimSpace(string(text))
}

var declaration = regexp.MustCompile(`(?m)^func (Fuzz\w+)\(f \*testing\.F\)`)

// targetsIn finds the fuzz targets of a package's folder.
func targetsIn(dir string) (names []string) {
	files, _ := filepath.Glob(filepath.Join(dir, "*_test.go"))
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			log.Fatal(err)
		}
		for _, m := range declaration.FindAllSubmatch(text, -1) {
			names = append(names, string(m[1]))
		}
	}
	return names
}

// keep copies the selection for a target into its testdata.
func (t *target) keep() error {
	b, err := t.build()
	if err != nil {
		return err
	}
	defer os.RemoveAll(b.work)
	committed := filepath.Join(t.dir, "testdata", "fuzz", t.name)
	s := selection{reached: map[feature]bool{}}
	seeds, err := b.reach("^seed#")
	if err != nil {
		return err
	}
	s.take(seeds)
	var candidates []*input
	for _, in := range b.inputs {
		if in.reaches, err = b.reach("^" + in.name + "$"); err != nil {
			return err
		}
		if in.committed {
			s.add(in)
		} else {
			candidates = append(candidates, in)
		}
	}
	before := s.files
	for _, in := range s.choose(candidates) {
		if err := os.MkdirAll(committed, 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(committed, in.name), in.text, 0o644); err != nil {
			return err
		}
	}
	fmt.Printf("%s %s: %d found, %d files with %d bytes kept, %d of them new\n",
		t.pkg, t.name, len(b.inputs), s.files, s.bytes, s.files-before)
	return nil
}

// run runs a command in dir and returns an error with all that it said.
func run(dir, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %v\n%s", cmd, err, said.Bytes())
	}
	return nil
}
