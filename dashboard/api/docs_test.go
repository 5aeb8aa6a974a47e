package api

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestTheReferenceListsEveryPath(t *testing.T) {
	text, err := os.ReadFile("../../docs/reference/api.md")
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for _, row := range regexp.MustCompile("(?m)^\\| `(/[^`]+)` \\|").FindAllStringSubmatch(string(text), -1) {
		listed = append(listed, row[1])
	}
	o := options(running())
	o.Debug = true
	h := New(o)
	for _, path := range listed {
		one := strings.Contains(path, "{name}")
		w := get(h, strings.ReplaceAll(path, "{name}", "none"))
		if !one && w.Code != 200 || one && (w.Code != 404 || !strings.Contains(w.Body.String(), "not found: none")) {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	for _, s := range sections {
		for _, path := range []string{"/api/" + s.path, "/api/" + s.path + "/{name}"} {
			if !slices.Contains(listed, path) {
				t.Errorf("the reference does not list %s", path)
			}
		}
		for by := range s.orders {
			if !strings.Contains(string(text), "`"+by+"`") {
				t.Errorf("the reference does not speak of sortBy=%s", by)
			}
		}
	}
}
