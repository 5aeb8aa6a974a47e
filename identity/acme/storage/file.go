package storage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
)

// File keeps the data of all its resolvers in one JSON file, in the format of Traefik's acme.json. Only
// its owner may read it. Two processes may use it at a time, as when one takes over from the other:
// their leases exclude each other where the system has file locks.
type File struct {
	path string

	mu     sync.Mutex
	leased map[string]*fileLease
	answer memory
}

// OpenFile checks that the file, if there is one, can be read by its owner alone and holds what it
// should. It makes none.
func OpenFile(path string) (*File, error) {
	f := &File{path: path, leased: map[string]*fileLease{}}
	if _, err := f.read(); err != nil {
		return nil, err
	}
	return f, nil
}

// Shared is false: other gateways cannot see the file.
func (f *File) Shared() bool { return false }

// Close ends the leases.
func (f *File) Close() error {
	f.mu.Lock()
	held := make([]*fileLease, 0, len(f.leased))
	for _, l := range f.leased {
		held = append(held, l)
	}
	f.mu.Unlock()
	for _, l := range held {
		l.Release()
	}
	return nil
}

// stat describes the file; it returns nil when there is none yet. Where there is no folder for it the storage
// is not empty, but away.
func (f *File) stat() (fs.FileInfo, error) {
	info, err := os.Stat(f.path)
	if !errors.Is(err, fs.ErrNotExist) {
		return info, err
	}
	if _, err := os.Stat(filepath.Dir(f.path)); err != nil {
		return nil, fmt.Errorf("%s can be neither read nor made: %w", f.path, err)
	}
	return nil, nil
}

// read returns all resolvers' data; none when there is no file yet.
func (f *File) read() (map[string]*Data, error) {
	info, err := f.stat()
	if err != nil {
		return nil, err
	}
	if info == nil {
		return map[string]*Data{}, nil
	}
	if info.IsDir() {
		return nil, fmt.Errorf("%s is a directory: name a file in it, such as %s", f.path, filepath.Join(f.path, "acme.json"))
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return nil, fmt.Errorf("%s holds private keys and its mode is %04o: others may read it; chmod 600 %s", f.path, mode, f.path)
	}
	content, err := os.ReadFile(f.path)
	if err != nil {
		return nil, err
	}
	all := map[string]*Data{}
	if len(content) == 0 { // as made by touch, which Traefik's manual advises
		return all, nil
	}
	if err := json.Unmarshal(content, &all); err != nil {
		return nil, fmt.Errorf("%s is not a certificate storage: %w", f.path, err)
	}
	return all, nil
}

// revision changes with every write of the file.
func (f *File) revision() (string, error) {
	info, err := f.stat()
	if err != nil {
		return "", err
	}
	if info == nil {
		return "none", nil
	}
	return fmt.Sprintf("%d-%d", info.ModTime().UnixNano(), info.Size()), nil
}

// Load is Storage's.
func (f *File) Load(_ context.Context, resolver, known string) (*Data, string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	revision, err := f.revision()
	if err != nil || revision == known {
		return nil, revision, err
	}
	all, err := f.read()
	if err != nil {
		return nil, "", err
	}
	if all[resolver] == nil {
		return &Data{}, revision, nil
	}
	return all[resolver], revision, nil
}

// save changes the file, which is replaced as a whole: a reader sees the old or the new.
func (f *File) save(resolver string, c Change) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	unlock, err := lockFile(f.path+".lock", true)
	if err != nil {
		return err
	}
	defer unlock()
	all, err := f.read()
	if err != nil {
		return err
	}
	if all[resolver] == nil {
		all[resolver] = &Data{}
	}
	c.Apply(all[resolver])
	content, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	return replaceFile(f.path, content)
}

// replaceFile writes a file that its owner alone may read, through a temporary one beside it. Where that
// cannot be, as for a file that is mounted by itself into a container, it writes in place.
func replaceFile(path string, content []byte) error {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return os.WriteFile(path, content, 0o600)
	}
	defer os.Remove(temporary.Name())
	_, err = temporary.Write(content)
	if err == nil {
		err = temporary.Sync()
	}
	if closed := temporary.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	if err := os.Rename(temporary.Name(), path); err != nil {
		return os.WriteFile(path, content, 0o600)
	}
	return nil
}

// Present is Storage's.
func (f *File) Present(_ context.Context, c Challenge) error { return f.answer.put(c) }

// Find is Storage's.
func (f *File) Find(_ context.Context, kind, key string) (Challenge, bool, error) {
	c, ok := f.answer.get(kind, key)
	return c, ok, nil
}

// Withdraw is Storage's.
func (f *File) Withdraw(_ context.Context, c Challenge) error { return f.answer.remove(c) }
