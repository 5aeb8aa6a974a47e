package static

import (
	"maps"
	"slices"
	"strings"

	"github.com/pergola-mesh/pergola/config/load"
)

// Settings are the values of a configuration as text, by key. They stay as they were when it is changed.
type Settings map[string]string

// Settings are the effective ones.
func (l *Loaded) Settings() Settings {
	s := Settings{}
	for _, k := range load.Values(l.Config) {
		s[k.Path] = k.Value
	}
	return s
}

// Changed lists what differs between two configurations, sorted: keys, or sections that one of them does not have.
// It tells no values.
func (s Settings) Changed(other Settings) (keys []string) {
	for key, value := range s {
		if now, ok := other[key]; !ok {
			keys = append(keys, other.lacking(key))
		} else if now != value {
			keys = append(keys, key)
		}
	}
	for key := range other {
		if _, ok := s[key]; !ok {
			keys = append(keys, s.lacking(key))
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// lacking is the outermost of a key and the sections it is in that is not there.
func (s Settings) lacking(key string) string {
	for i, c := range key {
		if c != '.' && c != '[' {
			continue
		}
		inside := func(k string) bool {
			return strings.HasPrefix(k, key[:i]) && (len(k) == i || k[i] == '.' || k[i] == '[')
		}
		if !slices.ContainsFunc(slices.Collect(maps.Keys(s)), inside) {
			return key[:i]
		}
	}
	return key
}
