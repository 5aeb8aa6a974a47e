package h2

import (
	"github.com/pergola-mesh/pergola/proxy/fields"
	"github.com/pergola-mesh/pergola/proxy/h2/frame"
)

// upBlock is a header block of a server that comes in several frames.
type upBlock struct {
	stream    uint32 // 0: there is none
	ends      bool
	bad       *frame.Error
	fragments []byte
}

// headers takes a header block, or a part of one. RFC 9113 §6.2, §6.10.
func (u *upConn) headers(f *frame.Frame, bad *frame.Error) *frame.Error {
	if f.Type == frame.Headers && f.Last() {
		return u.section(f.Stream, f.Ends(), f.Payload, bad)
	}
	o := &u.open
	if f.Type == frame.Headers {
		*o = upBlock{f.Stream, f.Ends(), bad, o.fragments[:0]}
	}
	if !u.budget.spend(costFrame) {
		return ruleFlood
	}
	if len(o.fragments)+len(f.Payload) > fields.ResponseLimits.HeaderBytes {
		return ruleBlockSize
	}
	o.fragments = append(o.fragments, f.Payload...)
	if !f.Last() {
		return nil
	}
	whole := *o
	*o = upBlock{}
	return u.section(whole.stream, whole.ends, whole.fragments, whole.bad)
}

// section takes a whole header block: a response's head, an interim one's, or a trailer section.
func (u *upConn) section(id uint32, ends bool, block []byte, bad *frame.Error) *frame.Error {
	k := u.streams[id]
	into, lim := &u.skipped, &nothingKept
	switch {
	case k == nil:
		if e := u.unbegun(id); e != nil {
			return e
		}
	case k.ended: // the memory of its head and trailer is somebody else's by now
	case k.head:
		into, lim = &k.trailer, &fields.TrailerLimits
	default:
		into, lim = &k.block, &fields.ResponseLimits
	}
	into.Reset(lim)
	if u.dec.Decode(into, block) != nil {
		return ruleCompressed
	}
	if k == nil {
		return u.skip()
	}
	if k.ended {
		return on(id, ruleClosed)
	}
	if bad != nil {
		return bad
	}
	return u.answer(k, ends)
}

// nothingKept are the limits of header blocks that nobody reads.
var nothingKept fields.Limits

// skip charges for frames of streams that are over.
func (u *upConn) skip() *frame.Error {
	if !u.budget.spend(costFrame) {
		return ruleFlood
	}
	return nil
}

// answer notes what the block that has been decoded for k is.
func (u *upConn) answer(k *call, ends bool) *frame.Error {
	if k.head {
		if !ends {
			return on(k.id, breach(frame.ProtocolError, "trailer_end")) // RFC 9113 §8.1
		}
		k.trailers = true
	} else {
		status := k.block.Status()
		if status >= 100 && status < 200 && k.block.Over() == nil {
			if ends {
				return on(k.id, breach(frame.ProtocolError, "interim_end"))
			}
			if k.informed++; k.informed > maxInterim {
				return on(k.id, breach(frame.EnhanceYourCalm, fields.RuleInterimFlood.Name))
			}
			k.interims = append(k.interims, k.block)
			k.block = fields.Block{}
			u.arrived(k)
			return nil
		}
		k.head = true
		k.headed()
		k.whole = ends
		if k.bodiless = k.bodiless || fields.Bodiless("", status); !k.bodiless {
			k.left = k.block.Length()
		}
	}
	u.arrived(k)
	if ends {
		return u.ended(k)
	}
	return nil
}

// maxInterim is how many interim responses a server may send before the final one.
const maxInterim = 16

// ended takes the end of what the server sends on a stream.
func (u *upConn) ended(k *call) *frame.Error {
	if k.left > 0 {
		return on(k.id, breach(frame.ProtocolError, fields.RuleLengthBody.Name))
	}
	k.ended = true
	u.budget.earn(earnRequest)
	u.served++
	if k.sent {
		u.drop(k)
	}
	return nil
}
