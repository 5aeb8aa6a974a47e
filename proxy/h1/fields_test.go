package h1

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/pergola-mesh/pergola/proxy/fields"
)

// TestFieldCount: a head with as many fields as the limit is complete however it arrives; one more is
// refused as soon as it begins.
func TestFieldCount(t *testing.T) {
	head := func(n int) string {
		var b strings.Builder
		b.WriteString("GET / HTTP/1.1\r\nHost: h\r\n")
		for i := 1; i < n; i++ {
			fmt.Fprintf(&b, "A%d: b\r\n", i)
		}
		return b.String()
	}
	full := head(fields.DefaultLimits.Fields)
	for _, rest := range []string{"", "\r"} {
		if end, err := parseHead([]byte(full + rest)); end != -1 || err != nil {
			t.Errorf("before the end, with %q: %d %v", rest, end, err)
		}
	}
	if end, err := parseHead([]byte(full + "\r\n")); end != len(full)+2 || err != nil {
		t.Errorf("whole: %d %v, want %d", end, err, len(full)+2)
	}
	for _, rest := range []string{"B", "\rB"} {
		if _, err := parseHead([]byte(full + rest)); !errors.Is(err, fields.RuleFieldCount) {
			t.Errorf("one more, %q: %v", rest, err)
		}
	}
}
