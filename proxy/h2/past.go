package h2

// past remembers how the last streams ended: what still comes on them means different things. Of the
// streams of a client, whose numbers are odd. RFC 9113 §5.1, §5.1.1.
type past struct {
	streams []uint32 // a number without its lowest bit, then two bits of how it ended; once full, a ring
	next    int      // where in the ring the next one goes
}

// remembered is how many streams are.
const remembered = 128

type endedBy uint8

const (
	notSeen  endedBy = iota
	byEnd            // both sides have said all
	byClient         // the client reset it
	byUs             // we did: the client may not know yet
)

func (p *past) add(stream uint32, how endedBy) {
	end := stream>>1<<2 | uint32(how)
	if len(p.streams) < remembered {
		p.streams = append(p.streams, end)
		return
	}
	p.streams[p.next] = end
	p.next = (p.next + 1) % remembered
}

func (p *past) how(stream uint32) endedBy {
	if stream%2 == 0 {
		return notSeen
	}
	for _, end := range p.streams {
		if end>>2 == stream>>1 {
			return endedBy(end & 3)
		}
	}
	return notSeen
}
