package localcluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const (
	temporaryPattern = "netbaseline-local-*"

	// ownerFile is in temporary directories only: a directory given in Options is never swept.
	ownerFile = "owner.pid"
	lockFile  = "lock.pid"
)

// directory is where a cluster keeps its files. A lock that ends with this program marks it as
// used: unlike a process id, it cannot be taken for that of another process later.
type directory struct {
	path      string
	temporary bool
	lock      *os.File
}

// openDirectory claims path, or makes a temporary directory if path is empty.
func openDirectory(path string) (*directory, error) {
	if path == "" {
		sweep(os.TempDir())
		return newTemporaryDirectory()
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(path, privateDirMode); err != nil {
		return nil, err
	}
	name := filepath.Join(path, lockFile)
	lock, err := lockFileAt(name)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		owner, _ := os.ReadFile(name)
		return nil, fmt.Errorf("%s is used by the cluster of process %s", path, strings.TrimSpace(string(owner)))
	}
	if err != nil {
		return nil, err
	}
	return &directory{path: path, lock: lock}, nil
}

func newTemporaryDirectory() (*directory, error) {
	path, err := os.MkdirTemp("", temporaryPattern)
	if err != nil {
		return nil, err
	}
	// Locked under another name first: a sweep must never see an owner file without its lock.
	name := filepath.Join(path, ownerFile)
	lock, err := lockFileAt(name + ".new")
	if err == nil {
		err = os.Rename(name+".new", name)
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(path))
	}
	return &directory{path: path, temporary: true, lock: lock}, nil
}

// lockFileAt creates the file, locks it, and writes this program's process id into it for error
// messages.
func lockFileAt(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, privateFileMode)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	if err := file.Truncate(0); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	if _, err := file.WriteString(strconv.Itoa(os.Getpid()) + "\n"); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// release gives the directory up, and removes it if it is temporary.
func (d *directory) release() error {
	if d.temporary {
		// Removed before it is unlocked: a sweep leaves it alone meanwhile.
		return errors.Join(os.RemoveAll(d.path), d.lock.Close())
	}
	return d.lock.Close()
}

// sweep removes the temporary directories of clusters whose owner died before it could. Directories
// that cannot be removed, such as those of another user, are left for the next Start of their
// owner.
func sweep(parent string) {
	owners, err := filepath.Glob(filepath.Join(parent, temporaryPattern, ownerFile))
	if err != nil {
		return
	}
	for _, owner := range owners {
		removeIfAbandoned(owner)
	}
}

func removeIfAbandoned(owner string) {
	file, err := os.OpenFile(owner, os.O_RDWR, 0)
	if err != nil {
		return
	}
	defer func() { _ = file.Close() }()
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return
	}
	_ = os.RemoveAll(filepath.Dir(owner))
}

// subdirectory creates a directory for one kind of file.
func (d *directory) subdirectory(name string) (string, error) {
	path := filepath.Join(d.path, name)
	return path, os.MkdirAll(path, privateDirMode)
}
