package exchange

import (
	"strings"

	"github.com/pergola-mesh/pergola/internal/word"
)

// spelling is a well-known name as it is mostly written, and the colon behind it: at most 16 bytes.
type spelling struct {
	head, rest uint64
	id         ID
}

// slot is where the spelling is among spellings. The factor is one with which no two of them meet.
func slot(head, rest uint64) uint8 { return uint8((head + rest) * 0x1198a2ebd333b6cd >> 56) }

// spellings are the usual ways to write the well-known names that are short enough.
var spellings = func() (slots [256]spelling) {
	for _, n := range wellKnown {
		for _, text := range usual(n) {
			line := []byte(text + ":")
			if len(line) > 16 {
				continue
			}
			s := spelling{head: word.At(line, 0), id: n.id}
			if len(line) > 8 {
				s.rest = word.At(line, 8)
			}
			slots[slot(s.head, s.rest)] = s
		}
	}
	return
}()

// usual are the ways in which a name is mostly written.
func usual(n Name) []string {
	texts := []string{n.text, strings.ToLower(n.text)}
	switch n.id {
	case etagID:
		texts = append(texts, "ETag")
	case teID:
		texts = append(texts, "TE")
	}
	return texts
}

// Spelled finds the well-known name that begins at text[at], with a colon behind it: one look at up to 16
// bytes, where Identify needs the end of a name and its letters one by one. n is the name's length. An id
// of 0 says nothing: long names and rare spellings are not found.
func Spelled(text []byte, at int) (id ID, n int) {
	head, rest := word.At(text, at), uint64(0)
	if colon := word.Equal(head, ':'); colon != 0 {
		n = word.First(colon)
		head &= word.Through(colon)
	} else {
		if len(text)-at <= 8 {
			return otherID, 0
		}
		rest = word.At(text, at+8)
		if colon = word.Equal(rest, ':'); colon == 0 {
			return otherID, 0
		}
		n = 8 + word.First(colon)
		rest &= word.Through(colon)
	}
	if s := &spellings[slot(head, rest)]; s.head == head && s.rest == rest {
		return s.id, n
	}
	return otherID, 0
}
