// Package load turns configuration text into typed values.
//
// Text in TOML, YAML or JSON, environment variables and flags all become a [Tree]: names, values
// and where each was written. A tree is checked against the Go type it is meant for, so that every
// unknown key and every bad value is reported at once with its place, and is then filled into the
// type by paerser, whose rules are Traefik's: keys compare without case, a bare integer is a
// duration in seconds, "section: {}" turns a section on, scalars are coerced, and a type's
// SetDefaults says what is unstated.
package load
