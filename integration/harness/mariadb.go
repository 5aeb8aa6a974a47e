//go:build linux

package harness

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// mariadbData is a data directory that has been installed once for all tests of the process.
var mariadbData = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "mariadb")
	if err != nil {
		return "", err
	}
	out, err := exec.Command("mariadb-install-db", "--no-defaults", "--user=root", "--datadir="+dir, "--skip-test-db",
		"--skip-name-resolve", "--auth-root-authentication-method=normal").CombinedOutput()
	if err != nil {
		return string(out), err
	}
	return dir, nil
})

// MariaDB starts a server that runs the statements of init first, one a line, and returns its host:port.
// With TLS when it has a certificate; options are those of mariadbd.
func MariaDB(t testing.TB, init, chain, key string, options ...string) string {
	t.Helper()
	data, err := mariadbData()
	if err != nil {
		t.Fatalf("mariadb-install-db: %v\n%s", err, data)
	}
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "data"), os.DirFS(data)); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"init.sql": init, "cert.pem": chain, "key.pem": key} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	program, err := exec.LookPath("mariadbd")
	if err != nil {
		program = "/usr/sbin/mariadbd"
	}
	address := FreeAddress(t)
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	arguments := []string{
		"--no-defaults", "--user=root", "--datadir=" + filepath.Join(dir, "data"), "--socket=" + filepath.Join(dir, "socket"),
		"--pid-file=" + filepath.Join(dir, "pid"), "--bind-address=" + host, "--port=" + port, "--skip-name-resolve",
		"--init-file=" + filepath.Join(dir, "init.sql"), "--innodb-fast-shutdown=2",
	}
	if chain != "" {
		arguments = append(arguments, "--ssl-cert="+filepath.Join(dir, "cert.pem"), "--ssl-key="+filepath.Join(dir, "key.pem"))
	}
	Process(t, address, nil, program, append(arguments, options...)...)
	return address
}
