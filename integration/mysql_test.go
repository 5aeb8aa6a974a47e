//go:build linux

package integration

import (
	"context"
	"crypto/tls"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/pergola-mesh/pergola/integration/harness"
)

// mysqlUsers are users of every plugin that a server of MariaDB has of its own, and one without a password.
const mysqlUsers = `CREATE DATABASE which;
CREATE TABLE which.server (name VARCHAR(20));
INSERT INTO which.server VALUES ('NAME');
CREATE USER jane@'%' IDENTIFIED BY 'secret';
CREATE USER ed@'%' IDENTIFIED VIA ed25519 USING PASSWORD('secret');
CREATE USER nobody@'%';
GRANT ALL ON *.* TO jane@'%', ed@'%', nobody@'%';
`

// mysqlGateway runs docs/examples/mysql before two servers of MariaDB, of which the second does TLS.
func mysqlGateway(t *testing.T) (g *harness.Gateway, ca *harness.Authority) {
	t.Helper()
	ca, internal := harness.NewAuthority(t), harness.NewAuthority(t)
	own := internal.Issue("stock.internal")
	ed25519 := "--plugin-load-add=auth_ed25519"
	shop := harness.MariaDB(t, strings.ReplaceAll(mysqlUsers, "NAME", "shop"), "", "", ed25519)
	stock := harness.MariaDB(t, strings.ReplaceAll(mysqlUsers, "NAME", "stock"), own.Chain, own.Key, ed25519, "--require-secure-transport")
	replacer := strings.NewReplacer("127.0.0.1:3306\n", "$WEB\n", "docs/examples/mysql/", "$DIR/",
		"127.0.0.1:33061", shop, "127.0.0.1:33062", stock, "entryPoints:\n  mysql:", "entryPoints:\n  traefik:\n    address: $ADMIN\n  mysql:")
	archive := ""
	for _, name := range []string{"pergola.yaml", "routes.yaml"} {
		text, err := os.ReadFile("../docs/examples/mysql/" + name)
		if err != nil {
			t.Fatal(err)
		}
		archive += "-- " + name + " --\n" + replacer.Replace(strings.ReplaceAll(string(text), "`", "~"))
		if name == "pergola.yaml" {
			archive += "api:\n  insecure: true\nmetrics:\n  prometheus:\n    addRoutersLabels: true\naccessLog:\n  filePath: $DIR/access.log\n  format: json\n"
		}
	}
	g = harness.Prepare(t, archive, nil)
	g.WritePair("certs/db.example.com.crt", "certs/db.example.com.key", ca.Issue("localhost", "shop.db.example.com", "stock.db.example.com", "other.example.com"))
	g.Write("certs/internal-ca.crt", internal.PEM)
	g.Run()
	return g, ca
}

// openMySQL opens a database through the gateway; without a server name in plaintext.
func openMySQL(t *testing.T, g *harness.Gateway, ca *harness.Authority, name, user, password string) *sql.DB {
	t.Helper()
	c := mysql.NewConfig()
	c.Net, c.Addr, c.User, c.Passwd, c.DBName, c.Timeout, c.ReadTimeout = "tcp", g.Web, user, password, "which", harness.Patience, harness.Patience
	c.Logger = mysql.Logger(&mysql.NopLogger{})
	if name != "" {
		c.TLS = &tls.Config{ServerName: name, RootCAs: ca.Pool()}
	}
	connector, err := mysql.NewConnector(c)
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	t.Cleanup(func() { db.Close() })
	return db
}

// which asks a server for its name.
func which(db *sql.DB) (name string, err error) {
	err = db.QueryRow("SELECT name FROM server").Scan(&name)
	return name, err
}

// Clients of one port come to the server whose name they ask for, whatever their plugin, and whether there is
// TLS on both sides, on one, or on none.
func TestMySQLExample(t *testing.T) {
	g, ca := mysqlGateway(t)
	t.Run("Go's driver", func(t *testing.T) { mysqlByDriver(t, g, ca) })
	t.Run("MariaDB's client", func(t *testing.T) { mysqlByClient(t, g, ca) })
}

func mysqlByDriver(t *testing.T, g *harness.Gateway, ca *harness.Authority) {
	for _, user := range []struct{ name, password string }{{"jane", "secret"}, {"ed", "secret"}, {"nobody", ""}} {
		for server, want := range map[string]string{"shop.db.example.com": "shop", "other.example.com": "shop", "stock.db.example.com": "stock", "": "shop"} {
			if got, err := which(openMySQL(t, g, ca, server, user.name, user.password)); err != nil || got != want {
				t.Errorf("%s at %q comes to %q, %v", user.name, server, got, err)
			}
		}
	}
	var told *mysql.MySQLError
	for _, name := range []string{"shop.db.example.com", "stock.db.example.com", ""} {
		_, err := which(openMySQL(t, g, ca, name, "jane", "wrong"))
		if !errors.As(err, &told) || told.Number != 1045 || told.Message != "Access denied for user 'jane'@'127.0.0.1' (using password: YES)" {
			t.Errorf("a wrong password at %q: %v", name, err)
		}
	}
	c := mysql.NewConfig()
	c.Net, c.Addr, c.User, c.Passwd, c.DBName, c.TLS = "tcp", g.Web, "jane", "secret", "nowhere", &tls.Config{ServerName: "stock.db.example.com", RootCAs: ca.Pool()}
	connector, err := mysql.NewConnector(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := which(sql.OpenDB(connector)); !errors.As(err, &told) || told.Number != 1049 {
		t.Errorf("a database that is not there: %v", err)
	}

	// Who wants no database, and another character set, is understood in TLS too.
	c.DBName, c.Collation = "", "latin1_german2_ci"
	if connector, err = mysql.NewConnector(c); err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	var collation string
	if err := db.QueryRow("SELECT @@collation_connection").Scan(&collation); err != nil || collation != "latin1_german2_ci" {
		t.Errorf("the collation is %q, %v", collation, err)
	}
	db.Close()

	// Statements, large results and large values, as over any connection.
	for _, name := range []string{"shop.db.example.com", "stock.db.example.com", ""} {
		db := openMySQL(t, g, ca, name, "jane", "secret")
		statement, err := db.Prepare("SELECT ? + ?")
		if err != nil {
			t.Fatal(err)
		}
		for i := range 20 {
			var sum int
			if err := statement.QueryRow(i, 100).Scan(&sum); err != nil || sum != i+100 {
				t.Fatalf("%d + 100 = %d, %v", i, sum, err)
			}
		}
		rows, err := db.Query("SELECT seq, REPEAT('x', 200) FROM seq_1_to_100000")
		if err != nil {
			t.Fatal(err)
		}
		count := 0
		for rows.Next() {
			var n int
			var text sql.RawBytes
			if err := rows.Scan(&n, &text); err != nil || len(text) != 200 {
				t.Fatal(n, err)
			}
			if count++; n != count {
				t.Fatalf("row %d is %d", count, n)
			}
		}
		if err := rows.Err(); err != nil || count != 100000 {
			t.Fatalf("%d rows, %v", count, err)
		}
		var size int
		if err := db.QueryRow("SELECT LENGTH(?)", strings.Repeat("y", 8<<20)).Scan(&size); err != nil || size != 8<<20 {
			t.Errorf("8 MiB arrive as %d, %v", size, err)
		}
		statement.Close()
		db.Close()
	}
}

// mysqlByClient has the client of MariaDB, which names no server, do what it does of its own.
func mysqlByClient(t *testing.T, g *harness.Gateway, ca *harness.Authority) {
	_, port, _ := strings.Cut(g.Web, ":")
	authority := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(authority, []byte(ca.PEM), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(arguments ...string) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), harness.Patience)
		defer cancel()
		arguments = append([]string{"--no-defaults", "--protocol=tcp", "--port=" + port, "--password=secret", "--batch", "--skip-column-names"}, arguments...)
		out, err := exec.CommandContext(ctx, "mariadb", arguments...).CombinedOutput()
		return string(out), err
	}
	secure := []string{"--host=localhost", "--ssl-ca=" + authority, "--ssl-verify-server-cert"}
	for _, user := range []string{"jane", "ed"} {
		for _, arguments := range [][]string{secure, append(secure, "--compress"), {"--host=127.0.0.1", "--skip-ssl"}} {
			out, err := run(append(arguments, "--user="+user, "--execute=SELECT name FROM which.server; SELECT 1; SELECT SUM(seq) FROM seq_1_to_1000", "which")...)
			if err != nil || out != "shop\n1\n500500\n" {
				t.Errorf("%s with %q: %q, %v", user, arguments, out, err)
			}
		}
	}
	out, err := run(append(secure, "--user=jane", "--execute=status")...)
	if err != nil || !strings.Contains(out, "Cipher in use is") {
		t.Errorf("the status: %q, %v", out, err)
	}
	if out, err := run(append(secure, "--user=jane", "--password=wrong")...); err == nil || out != "ERROR 1045 (28000): Access denied for user 'jane'@'127.0.0.1' (using password: YES)\n" {
		t.Errorf("a wrong password: %q, %v", out, err)
	}
	dump, err := exec.Command("mariadb-dump", append([]string{"--no-defaults", "--protocol=tcp", "--port=" + port, "--user=jane", "--password=secret", "which"}, secure...)...).CombinedOutput()
	if err != nil || !strings.Contains(string(dump), "INSERT INTO `server` VALUES\n('shop')") {
		t.Errorf("a dump: %s, %v", dump, err)
	}
	// The log and the metrics know the connections.
	harness.Eventually(t, "the lines of the access log", func() bool {
		text, err := os.ReadFile(g.Dir + "/access.log")
		return err == nil && strings.Contains(string(text), `"RouterName":"unnamed@file"`) && strings.Contains(string(text), `"RouterName":"local@file"`)
	})
	// Without a router for them those who do not ask for TLS are told so.
	g.Write("routes.yaml", strings.ReplaceAll(readFile(t, g.Dir+"/routes.yaml"), "      middlewares: [local]", "      middlewares: [local]\n      tls: {}"))
	harness.Eventually(t, "the refusal of plaintext", func() bool {
		out, err := run("--host=127.0.0.1", "--skip-ssl", "--user=jane", "--execute=SELECT 1")
		return err != nil && strings.HasPrefix(out, "ERROR 3159 (HY000): Connections to this gateway must use TLS")
	})
	response, err := http.Get("http://" + g.Admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text := new(strings.Builder)
	if err := response.Write(text); err != nil || !strings.Contains(text.String(), `pergola_rejected_requests_total{entrypoint="mysql",rule="mysql_plaintext"}`) {
		t.Errorf("the metrics do not tell of the refusal: %v", err)
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A server that is gone is told of in MySQL's own way.
func TestMySQLWithoutServer(t *testing.T) {
	authority := harness.NewAuthority(t)
	g := harness.Prepare(t, fmt.Sprintf(`
-- static.yaml --
entryPoints:
  web: {address: $WEB, startTLS: {protocol: mysql}}
providers:
  file: {filename: $DIR/routes.yaml}
-- routes.yaml --
tcp:
  routers:
    a: {rule: HostSNI(~localhost~), entryPoints: [web], service: gone, tls: {}}
  services:
    gone: {loadBalancer: {servers: [{address: %q}]}}
tls:
  certificates: [{certFile: $DIR/a.crt, keyFile: $DIR/a.key}]
`, harness.FreeAddress(t)), nil)
	g.WritePair("a.crt", "a.key", authority.Issue("localhost"))
	g.Run()
	db := openMySQL(t, g, authority, "localhost", "jane", "secret")
	ctx, cancel := context.WithTimeout(t.Context(), harness.Patience)
	defer cancel()
	var told *mysql.MySQLError
	if err := db.PingContext(ctx); !errors.As(err, &told) || told.Number != 2003 || told.Message != "The gateway cannot connect to a server (dial_failed)" {
		t.Errorf("a server that is not there: %v", err)
	}
	if err := openMySQL(t, g, authority, "other.example.com", "jane", "secret").PingContext(ctx); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
		t.Errorf("a name that nobody has: %v", err)
	}
}

// A server is asked in its own protocol whether it takes logins, over TLS that is verified as that of clients is.
func TestMySQLHealth(t *testing.T) {
	authority := harness.NewAuthority(t)
	own := authority.Issue("db.internal")
	database := harness.MariaDB(t, "CREATE USER jane@'%' IDENTIFIED BY 'secret';\nCREATE USER pergola@'127.0.0.1';\n", own.Chain, own.Key, "--require-secure-transport")
	g := harness.Start(t, databases+`tcp:
  services:
    told: {loadBalancer: {servers: [{address: $DATABASE, tls: true}], serversTransport: any, healthCheck: {protocol: mysql, interval: 50ms}}}
    found: {loadBalancer: {servers: [{address: $DATABASE, tls: true}], serversTransport: any, healthCheck: {user: somebody, interval: 50ms}}}
    mistrusted: {loadBalancer: {servers: [{address: $DATABASE, tls: true}], healthCheck: {protocol: mysql, interval: 50ms}}}
  serversTransports:
    any: {tls: {insecureSkipVerify: true}}
`, harness.Vars{"DATABASE": database})
	awaitState(t, g, "mistrusted@file", database, "DOWN")
	c := mysql.NewConfig()
	c.Net, c.Addr, c.User, c.Passwd, c.TLSConfig = "tcp", database, "jane", "secret", "skip-verify"
	db, err := sql.Open("mysql", c.FormatDSN())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	count := func(status string) (n int) {
		var name string
		if err := db.QueryRow("SHOW GLOBAL STATUS LIKE '"+status+"'").Scan(&name, &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	harness.Eventually(t, "many probes", func() bool { return count("Connections") > 100 })
	// Those of pergola are let in and take their leave. Those of the others are denied.
	if aborted := count("Aborted_clients"); aborted > 0 {
		t.Errorf("%d connections were left open", aborted)
	}
	for _, service := range []string{"told@file", "found@file"} {
		awaitState(t, g, service, database, "UP")
	}
	if down := strings.Count(g.Log(), "server is down"); down != 1 {
		t.Errorf("%d servers have been found down:\n%s", down, g.Log())
	}
}
