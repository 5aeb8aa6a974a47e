package storage

import (
	"context"
	"net/url"
	"sync"
)

// fileLease is a lock of the operating system, which ends with the process.
type fileLease struct {
	file     *File
	resolver string
	ctx      context.Context
	cancel   context.CancelCauseFunc
	unlock   func()
	once     sync.Once
}

// Acquire is Storage's.
func (f *File) Acquire(_ context.Context, resolver string) (Lease, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.leased[resolver] != nil {
		return nil, ErrHeld
	}
	unlock, err := lockFile(f.path+"."+url.PathEscape(resolver)+".lock", false)
	if err != nil {
		return nil, err
	}
	l := &fileLease{file: f, resolver: resolver, unlock: unlock}
	l.ctx, l.cancel = context.WithCancelCause(context.Background())
	f.leased[resolver] = l
	return l, nil
}

func (l *fileLease) Context() context.Context { return l.ctx }

func (l *fileLease) Save(_ context.Context, c Change) error {
	if l.ctx.Err() != nil {
		return ErrLost
	}
	return l.file.save(l.resolver, c)
}

func (l *fileLease) Release() {
	l.once.Do(func() {
		l.cancel(ErrLost)
		l.file.mu.Lock()
		delete(l.file.leased, l.resolver)
		l.file.mu.Unlock()
		l.unlock()
	})
}
