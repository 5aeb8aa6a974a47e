package load

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "rewrite the transcripts in testdata")

// TestTranscripts decodes the in.* file of every transcript and compares what stands and every problem
// with the file want.
func TestTranscripts(t *testing.T) {
	names, err := filepath.Glob("testdata/dynamic/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			in, want := archive.Files[0], &archive.Files[1]
			format, _ := FormatOf(in.Name)
			var o Objects
			d := o.Decode(in.Name, in.Data, format)
			var got strings.Builder
			if d.Config == nil {
				got.WriteString("nothing stands\n")
			}
			for _, id := range slices.Sorted(maps.Keys(o.known)) {
				got.WriteString(id + " stands\n")
			}
			for _, id := range slices.Sorted(maps.Keys(d.Salvaged)) {
				text, _ := json.Marshal(d.Salvaged[id])
				fmt.Fprintf(&got, "of %s is left %s\n", id, text)
			}
			for _, p := range d.Problems {
				got.WriteString(p.String() + "\n")
			}
			if *update {
				want.Data = []byte(got.String())
				if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if got.String() != string(want.Data) {
				t.Errorf("got:\n%swant:\n%s", got.String(), want.Data)
			}
		})
	}
}
