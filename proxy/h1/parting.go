package h1

// parting is whether a client's connection ends behind the exchange in progress, and how. It only ever
// grows: no later finding makes an end gentler or takes it back.
type parting uint8

const (
	stays   parting = iota // another request may follow
	closes                 // nothing more is expected of the client
	lingers                // the client may still be sending: what nobody reads would reset what it has yet to read. RFC 9112 §9.6
	breaks                 // the response was cut off, and is not to be taken for whole
)

// part has the connection end, at least so.
func (c *conn1) part(how parting) { c.parting = max(c.parting, how) }

// last reports whether the exchange is the connection's last.
func (c *conn1) last() bool { return c.parting != stays }
