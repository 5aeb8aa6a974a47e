package relay

import "sync"

// block is the memory of a busy direction.
type block [32 << 10]byte

var blocks = sync.Pool{New: func() any { return new(block) }}
