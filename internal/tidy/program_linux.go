package tidy

import (
	"bufio"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// dropProgram unmaps what has been touched of the program's code and constants. Starting touches most of
// them, and serving a tenth: the kernel maps that again as it is used, from the file that it has in memory.
func dropProgram() {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	smaps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer smaps.Close()
	for _, m := range mappings(smaps) {
		if m.path == program && m.pristine() {
			// An error leaves everything as it was.
			unix.Syscall(unix.SYS_MADVISE, m.start, m.end-m.start, unix.MADV_DONTNEED)
		}
	}
}

// A mapping is a part of the process's memory. proc_pid_smaps(5).
type mapping struct {
	start, end  uintptr
	permissions string // such as r-xp
	path        string // of the file that is mapped; empty for none
	anonymous   string // how much is the process's own and not the file's, such as "0 kB"
}

// pristine reports whether all there is in m is in its file too. What a linker has relocated, say, is not,
// though it cannot be written any more.
func (m *mapping) pristine() bool {
	return (m.permissions == "r-xp" || m.permissions == "r--p") && m.anonymous == "0 kB"
}

// mappings parses smaps, up to what is not understood.
func mappings(smaps io.Reader) (all []mapping) {
	for lines := bufio.NewScanner(smaps); lines.Scan(); {
		line := lines.Text()
		if name, value, found := strings.Cut(line, ":"); found && !strings.Contains(name, " ") {
			if name == "Anonymous" && len(all) > 0 {
				all[len(all)-1].anonymous = strings.TrimSpace(value)
			}
			continue
		}
		head := strings.SplitN(line, " ", 6) // start-end permissions offset device inode path
		if len(head) != 6 {
			return all
		}
		from, to, _ := strings.Cut(head[0], "-")
		start, err1 := strconv.ParseUint(from, 16, 64)
		end, err2 := strconv.ParseUint(to, 16, 64)
		if err1 != nil || err2 != nil {
			return all
		}
		all = append(all, mapping{
			start: uintptr(start), end: uintptr(end), permissions: head[1], path: strings.TrimLeft(head[5], " "),
		})
	}
	return all
}
