package compress

import (
	"io"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// coding is a content coding with its encoders, which are large and made for many responses.
type coding struct {
	name string
	pool sync.Pool
}

// The levels are those where a gateway's CPU and its clients' time are best traded: the higher ones
// gain a few percent for twice the work. Windows of 256 KiB keep an encoder's memory small.
const (
	gzipLevel  = 5
	brLevel    = 4
	brWindow   = 18
	zstdLevel  = zstd.SpeedDefault
	zstdWindow = 256 << 10
)

var codings = map[string]*coding{
	"gzip": newCoding("gzip", func(w io.Writer) (compressor, error) { return gzip.NewWriterLevel(w, gzipLevel) }),
	"br": newCoding("br", func(w io.Writer) (compressor, error) {
		return brotli.NewWriterOptions(w, brotli.WriterOptions{Quality: brLevel, LGWin: brWindow}), nil
	}),
	"zstd": newCoding("zstd", func(w io.Writer) (compressor, error) {
		// Concurrency of 1 compresses on the caller's goroutine.
		return zstd.NewWriter(w, zstd.WithEncoderLevel(zstdLevel), zstd.WithWindowSize(zstdWindow),
			zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true))
	}),
}

func newCoding(name string, newCompressor func(io.Writer) (compressor, error)) *coding {
	c := &coding{name: name}
	c.pool.New = func() any {
		e := &encoder{}
		var err error
		if e.compressor, err = newCompressor((*output)(e)); err != nil {
			panic(err) // only for options that do not exist
		}
		return e
	}
	return c
}

type compressor interface {
	io.WriteCloser
	Flush() error
	Reset(io.Writer)
}

// encoder compresses into memory.
type encoder struct {
	compressor compressor
	out        []byte
}

// mostKept bounds the output memory that a pooled encoder keeps, in bytes.
const mostKept = 256 << 10

// reset makes the encoder ready for another response.
func (e *encoder) reset() {
	if cap(e.out) > mostKept {
		e.out = nil
	}
	e.out = e.out[:0]
	e.compressor.Reset((*output)(e))
}

// output is the encoder as its compressor writes to it.
type output encoder

func (o *output) Write(p []byte) (int, error) {
	o.out = append(o.out, p...)
	return len(p), nil
}
