package storage

import "strings"

// Open returns the storage that a configuration names: a file, or a URL.
func Open(where string) (Storage, error) {
	if strings.Contains(where, "://") {
		return OpenRedis(where)
	}
	return OpenFile(where)
}
