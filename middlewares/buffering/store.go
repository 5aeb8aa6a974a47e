package buffering

import (
	"errors"
	"io"
	"os"
	"sync/atomic"

	"github.com/pergola-mesh/pergola/proxy/exchange"
)

// chunk is how much is read of a file at a time, in bytes.
const chunk = 32 << 10

// errTooLong says that a body is over its limit.
var errTooLong = errors.New("the body is too long")

// store holds a body: its beginning in memory, what does not fit there in a file. The file has no name
// any more once it is open, so nothing is left of it however the process ends.
type store struct {
	memory []byte
	file   *os.File // nil while all is in memory
	spilt  int64    // bytes in file
}

// fill takes in all of b: up to memory bytes of it stay in memory, and more than limit are errTooLong; a
// limit of 0 or less is none. Any other error is that of the body, or Internal when the file failed. After
// an error there is nothing to free.
func (s *store) fill(b exchange.Body, memory, limit int64) error {
	for {
		p, err := b.Next()
		if err == io.EOF {
			return nil
		}
		if err == nil && limit > 0 && s.size()+int64(len(p)) > limit {
			err = errTooLong
		}
		if err == nil {
			err = s.write(p, memory)
		}
		if err != nil {
			s.Free()
			return err
		}
	}
}

func (s *store) write(p []byte, memory int64) error {
	if s.file == nil {
		n := min(int64(len(p)), memory-int64(len(s.memory)))
		s.memory = append(s.memory, p[:n]...)
		if p = p[n:]; len(p) == 0 {
			return nil
		}
		if err := s.open(); err != nil {
			return exchange.Internal.Withf("buffering: %w", err)
		}
	}
	n, err := s.file.Write(p)
	s.spilt += int64(n)
	if err != nil {
		return exchange.Internal.Withf("buffering: %w", err)
	}
	return nil
}

func (s *store) open() (err error) {
	if s.file, err = os.CreateTemp("", "pergola-body-*"); err != nil {
		return err
	}
	return os.Remove(s.file.Name())
}

func (s *store) size() int64 { return int64(len(s.memory)) + s.spilt }

// Free closes the file. Readers then fail. It may be called more than once.
func (s *store) Free() {
	if s.file != nil {
		s.file.Close()
	}
}

// reader is a body of all that a store holds. Each reader is its own; two may read one store at once.
type reader struct {
	*store
	trailers bool
	at       int64 // what was read so far
	buffer   []byte
	closed   atomic.Bool // a service may close a body that a goroutine of its own reads
	onClose  func()      // nil for nothing
}

// Next returns what is in memory, then the file in chunks.
func (r *reader) Next() ([]byte, error) {
	switch inMemory := int64(len(r.memory)); {
	case r.closed.Load():
		return nil, io.ErrClosedPipe
	case r.at >= r.size():
		return nil, io.EOF
	case r.at < inMemory:
		p := r.memory[r.at:]
		r.at = inMemory
		return p, nil
	default:
		if r.buffer == nil {
			r.buffer = make([]byte, min(chunk, r.spilt))
		}
		p := r.buffer[:min(int64(len(r.buffer)), r.size()-r.at)]
		n, err := r.file.ReadAt(p, r.at-inMemory)
		if n < len(p) {
			return nil, exchange.Internal.Withf("buffering: %w", err)
		}
		r.at += int64(n)
		return p, nil
	}
}

// Whole returns what is left when all of it is in memory.
func (r *reader) Whole() ([]byte, bool) {
	if r.closed.Load() || r.trailers || r.file != nil {
		return nil, false
	}
	return r.memory[r.at:], true
}

// Close ends the reading.
func (r *reader) Close() error {
	if !r.closed.Swap(true) && r.onClose != nil {
		r.onClose()
	}
	return nil
}
