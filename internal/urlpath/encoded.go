package urlpath

import (
	"bytes"
	"strings"
)

// Encoded says which escapes a path may hold though careless servers read more into them than a
// character. The zero value allows none.
type Encoded struct {
	Slash, BackSlash, NullCharacter, Semicolon, Percent, QuestionMark, Hash bool
}

// The refusals of Check.
var (
	ErrSlash         = refuse("slash", "%2F", "allowEncodedSlash")
	ErrBackSlash     = refuse("backslash", "%5C", "allowEncodedBackSlash")
	ErrNullCharacter = refuse("null_character", "%00", "allowEncodedNullCharacter")
	ErrSemicolon     = refuse("semicolon", "%3B", "allowEncodedSemicolon")
	ErrPercent       = refuse("percent", "%25", "allowEncodedPercent")
	ErrQuestionMark  = refuse("question_mark", "%3F", "allowEncodedQuestionMark")
	ErrHash          = refuse("hash", "%23", "allowEncodedHash")
)

func refuse(name, escape, option string) *Error {
	return &Error{"encoded_" + name, "path has an encoded " + strings.ReplaceAll(name, "_", " ") + " (" + escape + "), which needs " + option}
}

// Check returns an *Error for the first escape in path that is not allowed. The path must be in the
// normal form, in which a raw backslash is an encoded one.
func (allow Encoded) Check(path []byte) error {
	for {
		i := bytes.IndexByte(path, '%')
		if i < 0 || len(path) < i+3 {
			return nil
		}
		c, _ := Unescape(path[i:])
		if err := allow.check(c); err != nil {
			return err
		}
		path = path[i+3:]
	}
}

func (allow Encoded) check(c byte) error {
	switch {
	case c == '/' && !allow.Slash:
		return ErrSlash
	case c == '\\' && !allow.BackSlash:
		return ErrBackSlash
	case c == 0 && !allow.NullCharacter:
		return ErrNullCharacter
	case c == ';' && !allow.Semicolon:
		return ErrSemicolon
	case c == '%' && !allow.Percent:
		return ErrPercent
	case c == '?' && !allow.QuestionMark:
		return ErrQuestionMark
	case c == '#' && !allow.Hash:
		return ErrHash
	}
	return nil
}
