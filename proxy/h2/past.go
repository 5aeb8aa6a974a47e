package h2

// past remembers how the last streams ended: what still comes on them means different things.
// RFC 9113 §5.1.
type past struct {
	streams [128]uint32
	ends    [128]endedBy
	n       uint8
}

type endedBy uint8

const (
	notSeen  endedBy = iota
	byEnd            // both sides have said all
	byClient         // the client reset it
	byUs             // we did: the client may not know yet
)

func (p *past) add(stream uint32, how endedBy) {
	i := p.n % uint8(len(p.streams))
	p.streams[i], p.ends[i] = stream, how
	p.n++
}

func (p *past) how(stream uint32) endedBy {
	for i, s := range p.streams {
		if s == stream {
			return p.ends[i]
		}
	}
	return notSeen
}
