//go:build linux

package harness

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// MariaDB starts a server that runs the statements of init first, one a line, and returns its host:port.
// With TLS when it has a certificate; options are those of mariadbd.
func MariaDB(t testing.TB, init, chain, key string, options ...string) string {
	t.Helper()
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	common := []string{"--no-defaults", "--datadir=" + data, "--skip-name-resolve"}
	if os.Geteuid() == 0 {
		common = append(common, "--user=root")
	}
	output, err := exec.Command("mariadb-install-db", append(common, "--skip-test-db", "--auth-root-authentication-method=normal")...).CombinedOutput()
	if err != nil {
		t.Fatalf("mariadb-install-db: %v\n%s", err, output)
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
	arguments := append(common, "--socket="+filepath.Join(dir, "socket"), "--pid-file="+filepath.Join(dir, "pid"),
		"--bind-address="+host, "--port="+port, "--init-file="+filepath.Join(dir, "init.sql"))
	if chain != "" {
		arguments = append(arguments, "--ssl-cert="+filepath.Join(dir, "cert.pem"), "--ssl-key="+filepath.Join(dir, "key.pem"))
	}
	Process(t, address, nil, program, append(arguments, options...)...)
	return address
}
