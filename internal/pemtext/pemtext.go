// Package pemtext reads certificates and keys in PEM as people and programs leave them in files, and says what is
// wrong with those that cannot be used.
package pemtext

import (
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// begin is how a block begins, at the beginning of a line. RFC 7468 §2.
const begin = "-----BEGIN "

// Check refuses text of which a block cannot be read, such as the end of a file that is still being written or that a
// full disk cut off. encoding/pem passes over such blocks, and so would leave the chain without an issuer.
func Check(text string) error {
	for n := 1; ; n++ {
		at := next(text)
		switch {
		case at < 0 && n == 1:
			return errors.New("no PEM block begins at the beginning of a line")
		case at < 0:
			return nil
		}
		text = text[at:]
		block, rest := pem.Decode([]byte(text))
		if block == nil || next(text[len(begin):len(text)-len(rest)]) >= 0 {
			return fmt.Errorf("PEM block %d is cut off or damaged", n)
		}
		text = string(rest)
	}
}

// next is where the next block begins; below 0 where none does.
func next(text string) int {
	if strings.HasPrefix(text, begin) {
		return 0
	}
	if at := strings.Index(text, "\n"+begin); at >= 0 {
		return at + 1
	}
	return -1
}
