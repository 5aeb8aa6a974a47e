package app

import (
	"io"
	"strings"
	"testing"
)

// Help is given wherever it is asked for.
func TestHelp(t *testing.T) {
	for _, args := range []string{"help", "--help", "-h", "check --help", "check --log.level=DEBUG -h", "--log.level=DEBUG --help"} {
		var out strings.Builder
		if code := Main(strings.Fields(args), nil, &out, io.Discard); code != exitOK || !strings.Contains(out.String(), "pergola check [flags]") {
			t.Errorf("pergola %s ends with %d and says %.80q", args, code, out.String())
		}
	}
}
