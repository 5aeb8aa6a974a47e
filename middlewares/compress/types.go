package compress

import (
	"bytes"
	"fmt"
	"maps"
	"mime"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// types is a list of media types.
type types []mediaType

type mediaType struct {
	name       string            // lower case
	parameters map[string]string // those a type must have; empty for any
}

func parseTypes(list []string) (types, error) {
	var parsed types
	for _, text := range list {
		name, parameters, err := mime.ParseMediaType(text)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", text, err)
		}
		parsed = append(parsed, mediaType{name, parameters})
	}
	return parsed, nil
}

// contain reports whether a Content-Type is in the list; an absent one is in none.
func (t types) contain(contentType []byte) bool {
	name := nameOf(contentType)
	for _, m := range t {
		if !exchange.EqualFold(name, m.name) {
			continue
		}
		if len(m.parameters) == 0 {
			return true
		}
		if _, parameters, err := mime.ParseMediaType(string(contentType)); err == nil && maps.Equal(parameters, m.parameters) {
			return true
		}
	}
	return false
}

func nameOf(contentType []byte) []byte {
	name, _, _ := bytes.Cut(contentType, []byte(";"))
	return bytes.Trim(name, " \t")
}

func isGRPC(contentType []byte) bool {
	name := nameOf(contentType)
	const grpc = "application/grpc"
	return len(name) >= len(grpc) && exchange.EqualFold(name[:len(grpc)], grpc)
}

// compressed are the types whose content is compressed already, and compressible those of the same
// families whose is not.
var (
	compressed = []string{
		"image/", "audio/", "video/", "font/woff", "application/zip", "application/gzip", "application/x-gzip",
		"application/zstd", "application/x-brotli", "application/x-bzip2", "application/x-xz", "application/x-7z-compressed",
		"application/x-rar-compressed", "application/vnd.rar", "application/java-archive", "application/font-woff", "application/epub+zip",
	}
	compressible = []string{"image/svg+xml", "image/bmp", "image/x-icon", "image/vnd.microsoft.icon", "audio/midi", "audio/wav"}
)

func isCompressed(contentType []byte) bool {
	name := nameOf(contentType)
	for _, c := range compressible {
		if exchange.EqualFold(name, c) {
			return false
		}
	}
	for _, c := range compressed {
		if len(name) >= len(c) && exchange.EqualFold(name[:len(c)], c) {
			return true
		}
	}
	return false
}
