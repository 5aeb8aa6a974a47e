package static

import "math"

// HTTP is what holds for every HTTP request of an entry point.
type HTTP struct {
	Redirections              *Redirections     `description:"Send every request elsewhere." json:"redirections,omitempty"`
	Middlewares               []string          `description:"Middlewares that run before those of any router, as name@provider." json:"middlewares,omitempty"`
	TLS                       *TLS              `description:"TLS for the routers that do not say." json:"tls,omitempty" file:"allowEmpty"`
	EncodedCharacters         EncodedCharacters `description:"Which percent-encoded characters a path may hold; other requests are answered 400 and logged." json:"encodedCharacters"`
	EncodeQuerySemicolons     bool              `description:"Encode semicolons in the query instead of passing them on." json:"encodeQuerySemicolons"`
	SanitizePath              bool              `description:"Resolve /./, /../ and // in paths, for matching and for forwarding." json:"sanitizePath"`
	MaxHeaderBytes            int               `description:"The longest head of a request, in bytes. Longer ones are answered 431." json:"maxHeaderBytes"`
	MaxHeaderFields           int               `description:"The most header fields of a request. More are answered 431." json:"maxHeaderFields" ours:"true"`
	MaxTargetBytes            int               `description:"The longest request target, in bytes. Longer ones are answered 414." json:"maxTargetBytes" ours:"true"`
	UnderscoreHeadersStrategy string            `description:"What to do with header names that hold an underscore: keep, delete, or reject: the request is answered 400. Kept or not, none spells an X-Forwarded-* of a peer that is not trusted." json:"underscoreHeadersStrategy"`
}

// SetDefaults sets the hardened limits: 32 KiB and 100 fields of header, 8 KiB of target.
func (h *HTTP) SetDefaults() {
	h.EncodedCharacters = EncodedCharacters{
		AllowEncodedSemicolon:    true,
		AllowEncodedPercent:      true,
		AllowEncodedQuestionMark: true,
		AllowEncodedHash:         true,
	}
	h.SanitizePath = true
	h.MaxHeaderBytes = 32 << 10
	h.MaxHeaderFields = 100
	h.MaxTargetBytes = 8 << 10
	h.UnderscoreHeadersStrategy = "reject"
}

// EncodedCharacters says which percent-encoded characters a path may hold.
type EncodedCharacters struct {
	AllowEncodedSlash         bool `description:"%2F." json:"allowEncodedSlash"`
	AllowEncodedBackSlash     bool `description:"%5C." json:"allowEncodedBackSlash"`
	AllowEncodedNullCharacter bool `description:"%00." json:"allowEncodedNullCharacter"`
	AllowEncodedSemicolon     bool `description:"%3B." json:"allowEncodedSemicolon"`
	AllowEncodedPercent       bool `description:"%25." json:"allowEncodedPercent"`
	AllowEncodedQuestionMark  bool `description:"%3F." json:"allowEncodedQuestionMark"`
	AllowEncodedHash          bool `description:"%23." json:"allowEncodedHash"`
}

// Redirections sends every request of an entry point elsewhere.
type Redirections struct {
	EntryPoint *RedirectEntryPoint `description:"To another entry point." json:"entryPoint,omitempty"`
}

// RedirectEntryPoint redirects to another entry point.
type RedirectEntryPoint struct {
	To        string `description:"The entry point's name, or :port." json:"to"`
	Scheme    string `description:"http or https." json:"scheme"`
	Permanent bool   `description:"Answer 308 or 301 instead of 307 or 302." json:"permanent"`
	Priority  int    `description:"The redirection's priority among the routers." json:"priority"`
}

// SetDefaults redirects for good, to https, before any router.
func (r *RedirectEntryPoint) SetDefaults() {
	r.Scheme, r.Permanent, r.Priority = "https", true, math.MaxInt-1
}
