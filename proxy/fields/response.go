package fields

import "github.com/pergola-mesh/pergola/proxy/exchange"

// Response makes p of the section, whose memory p's header fields then are. method is the request's;
// ended says that the section was the end of the stream. An interim response (1xx) is one too. Body and
// Proto are the caller's to set. RFC 9113 §8.3.2, RFC 9114 §4.3.2.
//
// Length is what the body must have, or of an answer to HEAD and a 304 what it would have had.
func (b *Block) Response(p *exchange.Response, method string, ended bool) error {
	var s scan
	if rule := b.walk(&p.Header, &s, 1<<pseudoStatus); rule != nil {
		return rule
	}
	text := s.pseudo[pseudoStatus]
	if text == nil {
		return RulePseudoMissing
	}
	status, ok := parseStatus(text)
	if !ok || status == 101 {
		return RuleStatus
	}
	p.Status, p.Length = status, s.length
	switch {
	case status < 200 || status == 204:
		p.Length = -1
	case Bodiless(method, status):
	case ended && s.length > 0:
		return RuleLengthBody
	case ended:
		p.Length = 0
	}
	return nil
}

func parseStatus(text []byte) (status int, ok bool) {
	if len(text) != 3 {
		return 0, false
	}
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		status = status*10 + int(c-'0')
	}
	return status, status >= 100
}

// Trailer makes h of the section, whose memory h's fields then are. What frames, routes or authorises a
// message is left out. RFC 9110 §6.5.1, RFC 9113 §8.1.
func (b *Block) Trailer(h *exchange.Header) error {
	var s scan
	if rule := b.walk(h, &s, 0); rule != nil {
		h.Reset(nil)
		return rule
	}
	CleanTrailer(h)
	return nil
}
