package compress

import (
	"bytes"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// negotiate is the coding that the client likes best, by our order where it likes several the same;
// nil for none. RFC 9110 §12.5.3.
func (p *policy) negotiate(h *exchange.Header) *coding {
	if !h.Has(exchange.AcceptEncoding) {
		return p.standard // nil, too, for caution's sake: such clients are old
	}
	anything := quality(h, "*")
	best, most := (*coding)(nil), 0
	for _, c := range p.codings {
		q := quality(h, c.name)
		if q < 0 {
			q = anything
			if c == p.standard && q == most && q > 0 {
				best = c
			}
		}
		if q > most {
			best, most = c, q
		}
	}
	if quality(h, "identity") > most {
		return nil
	}
	return best
}

// quality is the weight of a coding in Accept-Encoding, in thousandths; -1 when it is not named.
func quality(h *exchange.Header, name string) int {
	q := -1
	for value := range h.Values(exchange.AcceptEncoding) {
		for item := range exchange.List(value) {
			coding, parameters, _ := bytes.Cut(item, []byte(";"))
			if exchange.EqualFold(bytes.TrimRight(coding, " \t"), name) {
				q = weight(parameters)
			}
		}
	}
	return q
}

// weight reads "q=0.5", in thousandths; 1000 without, 0 for nonsense. RFC 9110 §12.4.2.
func weight(parameters []byte) int {
	parameters = bytes.Trim(parameters, " \t")
	if len(parameters) == 0 {
		return 1000
	}
	if len(parameters) < 3 || parameters[0]|0x20 != 'q' || parameters[1] != '=' {
		return 0
	}
	whole, fraction, _ := bytes.Cut(parameters[2:], []byte("."))
	if len(whole) != 1 || len(fraction) > 3 {
		return 0
	}
	q := 0
	for _, c := range append(append(append(make([]byte, 0, 8), whole...), fraction...), "000"[len(fraction):]...) {
		if c < '0' || c > '9' {
			return 0
		}
		q = q*10 + int(c-'0')
	}
	return min(q, 1000)
}
