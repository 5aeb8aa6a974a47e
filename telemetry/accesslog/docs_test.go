package accesslog

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestTheReferenceListsEveryField(t *testing.T) {
	text, err := os.ReadFile("../../docs/reference/accesslog.md")
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([A-Za-z]+)` \\|").FindAllStringSubmatch(string(text), -1) {
		listed = append(listed, row[1])
	}
	var names []string
	for _, f := range fields {
		names = append(names, f.name)
	}
	for _, f := range streamFields {
		if f.own {
			names = append(names, f.name)
		}
	}
	slices.Sort(listed)
	slices.Sort(names)
	if !slices.Equal(listed, names) {
		t.Errorf("the reference lists %v, there are %v", listed, names)
	}
	for _, name := range append(notLogged, secrets...) {
		if !strings.Contains(string(text), "`"+name+"`") {
			t.Errorf("the reference does not speak of %s", name)
		}
	}
}
