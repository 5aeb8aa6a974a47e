//go:build linux

package harness

import (
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// Postgres starts a server with the user postgres, whose password is secret, and returns its host:port and
// its directory. It takes connections with TLS alone, under the certificate. options are those of postgres.
func Postgres(t testing.TB, chain, key string, options ...string) (address, directory string) {
	t.Helper()
	directory, err := os.MkdirTemp("", "postgres") // not within a directory of the test's own, which others must not enter
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(directory) })
	identity := unprivileged(t)
	for name, text := range map[string]string{"password": "secret", "cert.pem": chain, "key.pem": key,
		"hba.conf": "hostssl all all all scram-sha-256\n"} {
		path := filepath.Join(directory, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		chown(t, identity, path)
	}
	chown(t, identity, directory)
	data := filepath.Join(directory, "data")
	initdb := exec.Command(postgresProgram("initdb"), "--pgdata="+data, "--username=postgres", "--pwfile="+filepath.Join(directory, "password"), "--no-sync", "--auth=scram-sha-256")
	initdb.Dir = directory
	initdb.SysProcAttr = &syscall.SysProcAttr{Credential: identity}
	if output, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, output)
	}
	address = FreeAddress(t)
	arguments := []string{"-D", data, "-h", "127.0.0.1", "-p", strconv.Itoa(port(t, address)), "-k", directory, "-F",
		"-c", "hba_file=" + filepath.Join(directory, "hba.conf"),
		"-c", "ssl=on", "-c", "ssl_cert_file=" + filepath.Join(directory, "cert.pem"), "-c", "ssl_key_file=" + filepath.Join(directory, "key.pem"),
		"-c", "logging_collector=on", "-c", "log_directory=" + directory, "-c", "log_filename=log", "-c", "log_connections=on"}
	ProcessAs(t, identity, address, nil, postgresProgram("postgres"), append(arguments, options...)...)
	t.Cleanup(func() { // a server that is killed leaves shared memory behind
		stop := exec.Command(postgresProgram("pg_ctl"), "stop", "-D", data, "-m", "immediate")
		stop.Dir = directory
		stop.SysProcAttr = &syscall.SysProcAttr{Credential: identity}
		stop.Run()
	})
	return address, directory
}

// unprivileged is who runs what does not run as root; nil for who runs the test.
func unprivileged(t testing.TB) *syscall.Credential {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, err := strconv.Atoi(nobody.Uid)
	if err != nil {
		t.Fatal(err)
	}
	gid, err := strconv.Atoi(nobody.Gid)
	if err != nil {
		t.Fatal(err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

func chown(t testing.TB, to *syscall.Credential, path string) {
	t.Helper()
	if to == nil {
		return
	}
	if err := os.Chown(path, int(to.Uid), int(to.Gid)); err != nil {
		t.Fatal(err)
	}
}

// postgresProgram finds a program of Postgres, which Debian keeps out of the path.
func postgresProgram(name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name); len(found) > 0 {
		return found[len(found)-1]
	}
	return name
}
