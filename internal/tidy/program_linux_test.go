package tidy

import (
	"os"
	"strings"
	"testing"
)

const smaps = `00400000-0165b000 r-xp 00000000 fe:00 1234                               /usr/bin/pergola (deleted)
Size:              19000 kB
Rss:               11000 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me sd
0165b000-02861000 r--p 0125b000 fe:00 1234                               /usr/bin/pergola (deleted)
Anonymous:             4 kB
02861000-02989000 rw-p 02461000 fe:00 1234                               /usr/bin/pergola (deleted)
Anonymous:             0 kB
c000000000-c000800000 rw-p 00000000 00:00 0 
Anonymous:          8192 kB
7ffd0000-7ffd2000 r-xp 00000000 00:00 0                                  [vdso]
Anonymous:             0 kB
`

func TestMappings(t *testing.T) {
	all := mappings(strings.NewReader(smaps))
	if len(all) != 5 {
		t.Fatalf("%d mappings: %+v", len(all), all)
	}
	for i, want := range []bool{true, false, false, false, true} {
		if all[i].pristine() != want {
			t.Errorf("%+v: pristine is %t", all[i], !want)
		}
	}
	if m := all[0]; m.path != "/usr/bin/pergola (deleted)" || m.start != 0x400000 || m.end != 0x165b000 {
		t.Errorf("%+v", m)
	}
	if m := all[3]; m.path != "" || m.anonymous != "8192 kB" {
		t.Errorf("%+v", m)
	}
}

func TestMappingsEndsAtWhatItDoesNotKnow(t *testing.T) {
	for _, text := range []string{"", "Anonymous: 0 kB\n", "zz-10 r-xp 0 0 0 /x\n", "10 r-xp 0 0 0 /x\n", "short\n"} {
		if all := mappings(strings.NewReader(text)); len(all) != 0 {
			t.Errorf("%q: %+v", text, all)
		}
	}
}

// The program's own code is among what is dropped, on a real kernel.
func TestProgramIsFound(t *testing.T) {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, m := range mappings(file) {
		if m.path == program && m.permissions == "r-xp" {
			if !m.pristine() {
				t.Errorf("%+v is not pristine", m)
			}
			return
		}
	}
	t.Error("not found")
}
