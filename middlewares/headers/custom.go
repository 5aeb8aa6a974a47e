package headers

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// edit sets a field, or deletes it.
type edit struct {
	name   exchange.Name
	value  string
	delete bool
}

// hopByHop are the fields that the gateway itself writes, by what it does with the connection and
// the message. RFC 9110 §7.6.1, RFC 9112 §6.
var hopByHop = []string{"Connection", "Content-Length", "Keep-Alive", "Proxy-Connection", "Te", "Trailer",
	"Transfer-Encoding", "Upgrade"}

// edits makes the entries of a custom map ready, in the order of their names.
func edits(fields map[string]string) ([]edit, error) {
	var list []edit
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		value := fields[name]
		if err := checkField(name, value); err != nil {
			return nil, err
		}
		if value != "" && slices.ContainsFunc(hopByHop, func(h string) bool { return strings.EqualFold(h, name) }) {
			return nil, fmt.Errorf("%s cannot be set: the gateway writes it, by the connection and the body it sends", name)
		}
		list = append(list, edit{exchange.NewName(name), value, value == ""})
	}
	return list, nil
}

func apply(h *exchange.Header, edits []edit) {
	for i := range edits {
		if e := &edits[i]; e.delete {
			h.Del(e.name)
		} else {
			h.Set(e.name, e.value)
		}
	}
}

// checkField refuses names that are not tokens and values that would end the line.
// RFC 9110 §5.1, §5.5.
func checkField(name, value string) error {
	if name == "" || len(name) > exchange.MaxNameLen {
		return fmt.Errorf("%q is not a field name", name)
	}
	for i := 0; i < len(name); i++ {
		c := name[i]
		if !('0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return fmt.Errorf("%q is not a field name", name)
		}
	}
	if strings.ContainsAny(value, "\r\n\x00") {
		return fmt.Errorf("the value of %s has a line break or a NUL in it", name)
	}
	return nil
}
