package h2

import (
	"github.com/pergola-mesh/pergola/proxy/exchange"
	"github.com/pergola-mesh/pergola/proxy/h2/frame"
)

// handle takes a frame. With the lock. bad is what is wrong with it for its stream.
func (u *upConn) handle(f *frame.Frame, bad *frame.Error) *frame.Error {
	if !u.greeted {
		if f.Type != frame.Settings || f.IsAck() {
			return ruleGreeting
		}
		u.greeted = true
		defer close(u.greeting) // once the settings are taken
	}
	switch f.Type {
	case frame.Data:
		return u.data(f)
	case frame.Headers, frame.Continuation:
		return u.headers(f, bad)
	}
	if !u.budget.spend(costFrame) {
		return ruleFlood
	}
	if bad != nil {
		return bad
	}
	switch f.Type {
	case frame.RSTStream:
		return u.rst(f)
	case frame.Settings:
		return u.settings(f)
	case frame.Ping:
		if f.IsAck() {
			u.pinged = 0
		} else {
			u.out = frame.AppendPing(u.out, true, f.Opaque())
		}
	case frame.GoAway:
		return u.goAway(f)
	case frame.WindowUpdate:
		return u.windowUpdate(f)
	}
	return nil
}

// unbegun refuses frames of streams that were never begun. RFC 9113 §5.1.
func (u *upConn) unbegun(stream uint32) *frame.Error {
	if stream >= u.next || stream&1 == 0 {
		return ruleIdle
	}
	return nil
}

// data takes a piece of an answer. RFC 9113 §6.1, §6.9.1.
func (u *upConn) data(f *frame.Frame) *frame.Error {
	if f.Size > u.left {
		return ruleWindow
	}
	u.left -= f.Size
	if u.owed += f.Size; u.owed >= upConnWindow/2 {
		u.out = frame.AppendWindowUpdate(u.out, 0, u.owed)
		u.left += u.owed
		u.owed = 0
	}
	if len(f.Payload) == 0 {
		if !u.budget.spend(costFrame) {
			return ruleFlood
		}
	} else {
		u.budget.earn(earnFrame + len(f.Payload)>>12)
	}
	k := u.streams[f.Stream]
	if k == nil {
		return u.unbegun(f.Stream)
	}
	if e := k.receive(f); e != nil {
		return e
	}
	u.arrived(k)
	return nil
}

// arrived notes that something came for k.
func (u *upConn) arrived(k *call) {
	if n := len(u.woken); n == 0 || u.woken[n-1] != k.came {
		u.woken = append(u.woken, k.came)
	}
}

// rst takes the server's end of a stream. RFC 9113 §6.4.
func (u *upConn) rst(f *frame.Frame) *frame.Error {
	k := u.streams[f.Stream]
	if k == nil {
		return u.unbegun(f.Stream)
	}
	u.drop(k)
	u.budget.earn(costFrame) // there is one to a request, which we chose to make
	switch code := f.Code(); {
	case code == frame.RefusedStream:
		k.refused = true
		k.fail(exchange.UpstreamReset.With(errRefused))
	case k.ended: // it has answered, and does not want the rest of the request
		k.stopped = true
		wake(k.room)
	default:
		k.fail(exchange.UpstreamReset.Withf("the server reset the stream: %v", code))
	}
	return nil
}

// settings takes what the server asks for. RFC 9113 §6.5.2.
func (u *upConn) settings(f *frame.Frame) *frame.Error {
	if f.IsAck() {
		if u.unacked != 0 {
			u.returned(u.unacked)
		}
		u.unacked = 0
		return nil
	}
	limit := u.limit.Load()
	for id, value := range f.Settings() {
		switch id {
		case frame.HeaderTableSize:
			u.enc.SetTableSize(int(min(value, 1<<20)))
		case frame.EnablePush:
			if value != 0 {
				return breach(frame.ProtocolError, "settings_value")
			}
		case frame.MaxConcurrentStreams:
			limit = int32(min(value, maxUpStreams))
		case frame.InitialWindowSize:
			by := int(value) - u.first
			u.first = int(value)
			for _, k := range u.streams {
				if k.window += by; k.window > frame.MaxWindow {
					return ruleWindowSize
				}
			}
			u.unblock()
		case frame.EnableConnectProtocol:
			u.connects.Store(value == 1)
		case frame.MaxFrameSize:
			u.maxFrame = int(value)
		}
	}
	if u.kept && !u.leaving {
		u.limit.Store(limit)
		u.shut.Store(limit == 0)
	}
	u.out = frame.AppendSettingsAck(u.out)
	return nil
}

// maxUpStreams is how many streams we use at once on a connection, whatever a server allows.
const maxUpStreams = 1000

// goAway takes that the server leaves: what it has not looked at may go elsewhere. RFC 9113 §6.8.
func (u *upConn) goAway(f *frame.Frame) *frame.Error {
	last := f.LastStream()
	u.leaving = true
	u.shun()
	for id, k := range u.streams {
		if id > last {
			k.refused = true
			u.drop(k)
			k.fail(exchange.UpstreamReset.With(errRefused))
		}
	}
	return nil
}

// windowUpdate takes leave to send more. RFC 9113 §6.9.
func (u *upConn) windowUpdate(f *frame.Frame) *frame.Error {
	n := f.Increment()
	if f.Stream == 0 {
		if u.window += n; u.window > frame.MaxWindow {
			return ruleWindowSize
		}
		u.unblock()
		return nil
	}
	k := u.streams[f.Stream]
	if k == nil {
		return u.unbegun(f.Stream)
	}
	if k.window += n; k.window > frame.MaxWindow {
		return on(f.Stream, ruleWindowSize)
	}
	wake(k.room)
	return nil
}
