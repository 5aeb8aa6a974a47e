package encodedcharacters_test

import (
	"errors"
	"testing"

	"github.com/pergola-mesh/pergola/internal/urlpath"
	"github.com/pergola-mesh/pergola/middlewares/encodedcharacters"
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/exchange/exchangetest"
)

func TestEncodedCharacters(t *testing.T) {
	for escape, c := range map[string]struct {
		allow encodedcharacters.Config
		err   error
	}{
		"%2F": {encodedcharacters.Config{AllowEncodedSlash: true}, urlpath.ErrSlash},
		"%5C": {encodedcharacters.Config{AllowEncodedBackSlash: true}, urlpath.ErrBackSlash},
		"%00": {encodedcharacters.Config{AllowEncodedNullCharacter: true}, urlpath.ErrNullCharacter},
		"%3B": {encodedcharacters.Config{AllowEncodedSemicolon: true}, urlpath.ErrSemicolon},
		"%25": {encodedcharacters.Config{AllowEncodedPercent: true}, urlpath.ErrPercent},
		"%3F": {encodedcharacters.Config{AllowEncodedQuestionMark: true}, urlpath.ErrQuestionMark},
		"%23": {encodedcharacters.Config{AllowEncodedHash: true}, urlpath.ErrHash},
	} {
		none, _ := encodedcharacters.New(encodedcharacters.Config{})
		backend := &exchangetest.Backend{}
		r := exchangetest.Do(none(backend), exchangetest.Request("GET", "/a%20b"+escape))
		if r.Status != 400 || !errors.Is(r.Err, exchange.BadRequest) || !errors.Is(r.Err, c.err) || backend.Calls > 0 {
			t.Errorf("%s: %d %v", escape, r.Status, r.Err)
		}
		one, _ := encodedcharacters.New(c.allow)
		if r := exchangetest.Do(one(backend), exchangetest.Request("GET", "/a%20b"+escape)); r.Status != 200 || backend.URI != "/a%20b"+escape {
			t.Errorf("%s, allowed: %d %q", escape, r.Status, backend.URI)
		}
	}
}

func TestAllocatesNothing(t *testing.T) {
	m, _ := encodedcharacters.New(encodedcharacters.Config{AllowEncodedSlash: true})
	exchangetest.AllocatesNothing(t, m, exchangetest.Request("GET", "/a%20b%2Fc"))
}
