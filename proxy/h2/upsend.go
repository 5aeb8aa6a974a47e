package h2

import "github.com/pergola-mesh/pergola/proxy/h2/frame"

// send sends a piece of the request, as the server takes it, and behind the last one the end. It reports
// whether the server still wants more.
func (k *call) send(piece []byte, last bool) bool {
	u := k.u
	u.mu.Lock()
	k.put++ // the time in which there was nothing to send is none in which the server took nothing
	for {
		if k.stopped || u.over != nil {
			u.mu.Unlock()
			return false
		}
		n := max(min(len(piece), k.window, u.window, u.maxFrame, maxPayload), 0)
		if len(piece) > 0 && (n == 0 || len(u.out) >= maxOut) {
			if !k.blocked {
				k.blocked = true
				u.blocked = append(u.blocked, k)
			}
			u.unlock()
			<-k.room
			u.mu.Lock()
			continue
		}
		ends := last && n == len(piece)
		u.out = frame.AppendData(u.out, k.id, piece[:n], ends)
		k.window -= n
		u.window -= n
		k.put++
		u.budget.earn(earnSent)
		if piece = piece[n:]; ends {
			k.finishSending()
		}
		if len(piece) == 0 {
			u.unlock()
			return true
		}
	}
}

// finishSending notes that the request is complete. With the lock.
func (k *call) finishSending() {
	if k.sent = true; k.ended {
		k.u.drop(k)
	}
}
