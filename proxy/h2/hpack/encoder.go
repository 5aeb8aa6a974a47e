package hpack

import (
	"hash/maphash"
	"strconv"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// Encoder appends header fields to header blocks, for one direction of a connection. Fields must be
// encoded in the order in which they are sent. Names are sent in lower case.
//
// A field that is seen twice within a while goes into the dynamic table, so that what differs from message
// to message does not push out what does not. What is secret never does, and is marked so that nobody
// else puts it into one. RFC 7541 §7.1.
type Encoder struct {
	table    table
	limit    int                             // what we use of what the peer allows
	resized  bool                            // the peer is to be told the table's size
	smallest int                             // the table's size was, since it was told
	inserted uint32                          // entries so far
	recent   *[recentSets][recentWays]recent // nil before the first, and after Rest
}

// recent is a field that was sent not long ago.
type recent struct {
	hash uint32
	// number is the entry's, counted from 1 on by insertion; 0 when the field is in no table.
	number uint32
}

// A field's hash says which set it is in. A set has what came last in front: as many fields as it has
// places do not keep each other out, nor one that is new each time the others.
const (
	recentSets = 16
	recentWays = 4
)

var seed = maphash.MakeSeed()

// NewEncoder makes an encoder that uses up to limit bytes of the dynamic table that the peer keeps.
func NewEncoder(limit int) *Encoder {
	e := &Encoder{limit: limit, table: table{max: DefaultTableSize}}
	e.SetTableSize(DefaultTableSize) // which the peer is told of if we use less
	return e
}

// Rest frees what is only of use while messages follow each other. What is sent next is compressed less.
func (e *Encoder) Rest() { e.recent = nil }

// SetTableSize takes the peer's SETTINGS_HEADER_TABLE_SIZE. RFC 7541 §4.2.
func (e *Encoder) SetTableSize(size int) {
	if size = min(size, e.limit); size == e.table.max {
		return
	}
	if !e.resized {
		e.smallest = size
	}
	e.smallest = min(e.smallest, size)
	e.resized = true
	e.table.resize(size)
}

// Begin begins a header block.
func (e *Encoder) Begin(dst []byte) []byte {
	if !e.resized {
		return dst
	}
	e.resized = false
	if e.smallest < e.table.max {
		dst = appendInt(dst, 0x20, 5, e.smallest)
	}
	return appendInt(dst, 0x20, 5, e.table.max)
}

// Status appends ":status". RFC 9113 §8.3.2.
func (e *Encoder) Status(dst []byte, status int) []byte {
	switch status {
	case 200:
		return append(dst, 0x80|8)
	case 204:
		return append(dst, 0x80|9)
	case 206:
		return append(dst, 0x80|10)
	case 304:
		return append(dst, 0x80|11)
	case 400:
		return append(dst, 0x80|12)
	case 404:
		return append(dst, 0x80|13)
	case 500:
		return append(dst, 0x80|14)
	}
	dst = append(dst, 8, 3) // literal, not in the table
	return append(dst, byte('0'+status/100), byte('0'+status/10%10), byte('0'+status%10))
}

// Method appends ":method". RFC 9113 §8.3.1.
func (e *Encoder) Method(dst []byte, method string) []byte {
	switch method {
	case "GET":
		return append(dst, 0x80|2)
	case "POST":
		return append(dst, 0x80|3)
	}
	return e.add(dst, 2, "", method)
}

// Scheme appends ":scheme".
func (e *Encoder) Scheme(dst []byte, scheme string) []byte {
	switch scheme {
	case "http":
		return append(dst, 0x80|6)
	case "https":
		return append(dst, 0x80|7)
	}
	return e.add(dst, 6, "", scheme)
}

// Authority appends ":authority".
func (e *Encoder) Authority(dst, authority []byte) []byte { return e.add(dst, 1, "", text(authority)) }

// Path appends ":path".
func (e *Encoder) Path(dst, path []byte) []byte {
	if len(path) == 1 && path[0] == '/' {
		return append(dst, 0x80|4)
	}
	return e.add(dst, 4, "", text(path))
}

// Protocol appends ":protocol". RFC 8441 §4.
func (e *Encoder) Protocol(dst, protocol []byte) []byte {
	return e.add(dst, 0, ":protocol", text(protocol))
}

// Length appends "content-length".
func (e *Encoder) Length(dst []byte, n int64) []byte {
	var digits [20]byte
	number := strconv.AppendInt(digits[:0], n, 10)
	dst = appendInt(dst, 0, 4, staticOf[exchange.ContentLength.ID()])
	return append(append(dst, byte(len(number))), number...)
}

// Field appends a field that is named as exchange does.
func (e *Encoder) Field(dst []byte, n exchange.Name, value string) []byte {
	return e.field(dst, n.ID(), n.String(), value)
}

// Header appends all fields of h but those in without.
func (e *Encoder) Header(dst []byte, h *exchange.Header, without exchange.NameSet) []byte {
	h.Each(func(id exchange.ID, name, value []byte) {
		if !without.Has(id) {
			dst = e.field(dst, id, text(name), text(value))
		}
	})
	return dst
}

func (e *Encoder) field(dst []byte, id exchange.ID, name, value string) []byte {
	switch {
	case secret.Has(id):
		return appendLiteral(dst, 0x10, 4, staticOf[id], name, value) // never indexed. RFC 7541 §6.2.3
	case volatile.Has(id):
		return appendLiteral(dst, 0, 4, staticOf[id], name, value)
	}
	return e.add(dst, staticOf[id], name, value)
}

// staticOf is the index of a well-known name in the static table; 0 when it is not there.
var staticOf = func() (index [64]int) {
	for i := staticLen; i > 0; i-- {
		if id := staticKinds[i].ID(); id != 0 {
			index[id] = i
		}
	}
	return
}()

var (
	secret = exchange.NewNameSet(exchange.Authorization, exchange.ProxyAuthorization, exchange.Cookie, exchange.SetCookie)
	// volatile are fields whose value hardly ever comes again.
	volatile = exchange.NewNameSet(exchange.ContentLength, exchange.ETag, exchange.LastModified, exchange.Location)
)
