package statuses_test

import (
	"testing"

	"github.com/pergola-mesh/pergola/middlewares/internal/statuses"
)

func TestParse(t *testing.T) {
	set, err := statuses.Parse([]string{"404", " 500 - 502 ", "410,420-421"})
	if err != nil {
		t.Fatal(err)
	}
	for status, want := range map[int]bool{403: false, 404: true, 410: true, 419: false, 421: true, 499: false, 500: true, 502: true, 503: false} {
		if set.Contains(status) != want {
			t.Errorf("%d: %v", status, !want)
		}
	}
	for _, bad := range []string{"", "x", "5", "500-", "-500", "502-500", "1000", "500-1000", "500-502-504"} {
		if _, err := statuses.Parse([]string{bad}); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
