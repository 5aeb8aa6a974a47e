package static

import "testing"

func TestWorkloadAPIAddresses(t *testing.T) {
	for text, want := range map[string]string{
		"unix:///run/spire/agent.sock": "unix /run/spire/agent.sock",
		"tcp://127.0.0.1:8081":         "tcp 127.0.0.1:8081",
		"tcp://[::1]:8081":             "tcp [::1]:8081",
		"":                             "",
		"/run/spire/agent.sock":        "",
		"unix://":                      "",
		"unix:///":                     "",
		"unix://run/spire/agent.sock":  "",
		"unix:/run/spire/agent.sock":   "",
		"unix:///run/agent.sock?x=1":   "",
		"tcp://localhost:8081":         "",
		"tcp://127.0.0.1":              "",
		"tcp://127.0.0.1:0":            "",
		"tcp://127.0.0.1:8081/":        "",
		"tcp://user@127.0.0.1:8081":    "",
		"http://127.0.0.1:8081":        "",
	} {
		network, address, err := (&Spiffe{WorkloadAPIAddr: text}).Endpoint()
		got := ""
		if err == nil {
			got = network + " " + address
		}
		if got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}
