package fields

import "github.com/pergola-mesh/pergola/proxy/exchange"

// Underscore is what happens to a request with a field name that has an underscore, which servers
// that turn names into variables confuse with one that has a dash.
type Underscore uint8

// The ways to treat underscores.
const (
	RejectUnderscore Underscore = iota
	DropUnderscore
	AllowUnderscore
)

// Limits bound a message head.
type Limits struct {
	// HeaderBytes is the size of the whole head: in HTTP/1.1 with the start line, otherwise as
	// RFC 9113 §6.5.2 counts it, 32 more than name and value for each field.
	HeaderBytes int
	// Fields is the number of fields.
	Fields int
	// TargetBytes is the size of the request target.
	TargetBytes int
	// Underscore applies to requests.
	Underscore Underscore
}

// DefaultLimits are those of an unconfigured entry point.
var DefaultLimits = Limits{HeaderBytes: 32 << 10, Fields: 100, TargetBytes: 8 << 10}

// ResponseLimits are those of every server's response.
var ResponseLimits = Limits{HeaderBytes: 64 << 10, Fields: 200, Underscore: AllowUnderscore}

// TrailerLimits are those of every trailer section.
var TrailerLimits = Limits{HeaderBytes: 8 << 10, Fields: 100, Underscore: DropUnderscore}

// MaxName is the length of a field name, in bytes.
const MaxName = exchange.MaxNameLen / 4
