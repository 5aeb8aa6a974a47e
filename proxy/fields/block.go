package fields

import (
	"iter"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// Block is a decoded header section of HTTP/2 or HTTP/3. Its text is kept as lines of HTTP/1.1, so
// that it can become an exchange's Header without being copied. Reset begins a section, Add adds
// to it. The memory is used again by the next Reset: it must not come before the exchange ends.
type Block struct {
	text   []byte
	fields []field
	lim    *Limits
	size   int // as RFC 9113 §6.5.2 counts it
	count  int // fields but pseudo-headers and Cookie
	crumbs int // Cookie fields: they are pieces of one. RFC 9113 §8.2.3
	over   *Rule
}

// field is the line "name: value CRLF" at text[start].
type field struct {
	start, name, value int
	kind               Kind
	trait              trait
}

// Kind is what a field's name is. Codecs keep it in their tables.
type Kind struct {
	id     exchange.ID
	pseudo pseudo
	trait  trait
}

// ID is the name's number among the well-known ones.
func (k Kind) ID() exchange.ID { return k.id }

type pseudo uint8

const (
	regular pseudo = iota
	pseudoOther
	pseudoMethod
	pseudoScheme
	pseudoAuthority
	pseudoPath
	pseudoProtocol
	pseudoStatus
)

// trait is what is found out about a field by looking at it alone.
type trait uint8

const (
	badName trait = 1 << iota
	upperName
	underscored
	badValue
)

// KindOf looks at a field's name.
func KindOf(name []byte) (k Kind) {
	if len(name) == 0 || len(name) > MaxName {
		k.trait = badName
		return k
	}
	if name[0] == ':' {
		k.pseudo = pseudoOf(name)
		return k
	}
	seen, all := uint8(0), uint8(IsToken)
	for _, c := range name {
		seen |= Class[c]
		all &= Class[c]
	}
	if all == 0 {
		k.trait |= badName
		return k
	}
	if seen&IsUpper != 0 {
		k.trait |= upperName
	}
	if seen&IsUnderscore != 0 {
		k.trait |= underscored
	}
	k.id = exchange.Identify(name)
	return k
}

func pseudoOf(name []byte) pseudo {
	switch string(name) {
	case ":method":
		return pseudoMethod
	case ":scheme":
		return pseudoScheme
	case ":authority":
		return pseudoAuthority
	case ":path":
		return pseudoPath
	case ":protocol":
		return pseudoProtocol
	case ":status":
		return pseudoStatus
	}
	return pseudoOther
}

// Overhead is what a field counts besides its name and value. RFC 9113 §6.5.2.
const Overhead = 32

// maxCrumbs is how many Cookie fields a section may have; they do not count as fields.
const maxCrumbs = 256

// Reset begins a section.
func (b *Block) Reset(lim *Limits) {
	b.text, b.fields, b.lim, b.over = b.text[:0], b.fields[:0], lim, nil
	b.size, b.count, b.crumbs = 0, 0, 0
}

// Shed gives memory up that is larger than what most sections need. Like Reset it voids the section.
func (b *Block) Shed() {
	if cap(b.text) > 16<<10 {
		b.text = nil
	}
	if cap(b.fields) > 256 {
		b.fields = nil
	}
}

// Over is the limit that the section is over; nil if none. Nothing is kept of what comes then.
func (b *Block) Over() *Rule { return b.over }

// Size is how large the section is as RFC 9113 §6.5.2 counts it, in bytes; it stops behind the limit.
func (b *Block) Size() int { return b.size }

// Status is the value of ":status"; 0 when there is none that is one. It is for codecs that must know
// before they have Response look at all.
func (b *Block) Status() int {
	for i := range b.fields {
		if f := &b.fields[i]; f.kind.pseudo == pseudoStatus {
			status, _ := parseStatus(b.valueOf(f))
			return status
		}
	}
	return 0
}

// Length is the value of Content-Length; -1 when there is none that is one.
func (b *Block) Length() int64 {
	for i := range b.fields {
		if f := &b.fields[i]; f.kind.id == lengthID {
			if n, ok := ParseLength(b.valueOf(f)); ok {
				return n
			}
		}
	}
	return -1
}

// All yields every field's name and value, pseudo-header fields included, as received.
func (b *Block) All() iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		for i := range b.fields {
			f := &b.fields[i]
			at := f.start + f.name + 2
			if !yield(b.text[f.start:f.start+f.name], b.text[at:at+f.value]) {
				return
			}
		}
	}
}

// Add adds a field, whose bytes are copied. A codec goes on after a limit was passed, to keep its own
// state; it costs nothing then.
func (b *Block) Add(name, value []byte) { b.AddKind(KindOf(name), name, value) }

// AddKind is Add of a field whose name was looked at before.
func (b *Block) AddKind(k Kind, name, value []byte) {
	if b.over == nil { // or a few bytes would have us look at many
		addField(b, k, name, value, !Plain(value))
	}
}

// AddText is AddKind of text that is known to be without fault, such as a static table's.
func (b *Block) AddText(k Kind, name, value string) { addField(b, k, name, value, false) }

func addField[T string | []byte](b *Block, k Kind, name, value T, bad bool) {
	if b.over != nil {
		return
	}
	b.size += len(name) + len(value) + Overhead
	if k.id == cookieID {
		b.crumbs++
	} else if k.pseudo == regular {
		b.count++
	}
	if b.size > b.lim.HeaderBytes {
		b.over = RuleHeaderSize
		return
	}
	if b.count > b.lim.Fields || b.crumbs > maxCrumbs {
		b.over = RuleFieldCount
		return
	}
	f := field{start: len(b.text), name: len(name), value: len(value), kind: k}
	if f.trait = k.trait; bad {
		f.trait |= badValue
	}
	b.text = append(b.text, name...)
	b.text = append(b.text, ':', ' ')
	b.text = append(b.text, value...)
	b.text = append(b.text, '\r', '\n')
	b.fields = append(b.fields, f)
}

var (
	cookieID = exchange.Cookie.ID()
	lengthID = exchange.ContentLength.ID()
	hostID   = exchange.Host.ID()
	teID     = exchange.TE.ID()
	expectID = exchange.Expect.ID()
)

// span is where the value of f is, without white space around it.
func (b *Block) span(f *field) (from, to int) {
	from = f.start + f.name + 2
	to = from + f.value
	for from < to && (b.text[from] == ' ' || b.text[from] == '\t') {
		from++
	}
	for from < to && (b.text[to-1] == ' ' || b.text[to-1] == '\t') {
		to--
	}
	return from, to
}

func (b *Block) valueOf(f *field) []byte {
	from, to := b.span(f)
	return b.text[from:to:to]
}

// keep adds f to h, whose memory is b.text.
func (b *Block) keep(h *exchange.Header, f *field) {
	from, to := b.span(f)
	h.AddReceived(f.kind.id, f.start, f.name, from, to, f.start+f.name+f.value+4)
}

// check refuses a field for what it is alone. RFC 9113 §8.2.
func (f *field) check() *Rule {
	switch t := f.trait; {
	case t&^underscored == 0:
		return nil
	case t&badName != 0 && f.name > MaxName:
		return RuleNameLong
	case t&badName != 0:
		return RuleFieldName
	case t&upperName != 0:
		return RuleUppercase
	}
	return RuleFieldValue
}
