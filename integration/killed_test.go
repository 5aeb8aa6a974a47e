//go:build linux

package integration

import (
	"bytes"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pergola-mesh/pergola/integration/harness"
)

// TestUpstreamKilledUnderLoad kills one of three backends every two seconds (kill -9). No GET may fail, and
// no POST may reach two backends, nor one twice: a POST whose fate is unknown fails instead.
func TestUpstreamKilledUnderLoad(t *testing.T) {
	recorders := []*recorder{newRecorder(t), newRecorder(t), newRecorder(t)}
	g := harness.Start(t, `
-- static.yaml --
entryPoints: {web: {address: $WEB}}
providers: {file: {filename: $DIR/routes.yaml}}
-- routes.yaml --
http:
  routers:
    all: {rule: PathPrefix(~/~), middlewares: [again], service: three}
  middlewares:
    again: {retry: {attempts: 4, initialInterval: 5ms}}
  services:
    three:
      loadBalancer:
        servers: [{url: http://$ONE}, {url: http://$TWO}, {url: http://$THREE}]
`, harness.Vars{"ONE": recorders[0].address, "TWO": recorders[1].address, "THREE": recorders[2].address})
	g.AwaitStatus("/", 200)

	gets := harness.NewLoad(t, 6, request("http://"+g.Web+"/get"), harness.WantStatus(200))
	var number atomic.Int64
	const posters = 2
	posts := harness.NewLoad(t, posters, func() *http.Request {
		r, _ := http.NewRequest("POST", "http://"+g.Web+"/post", bytes.NewReader([]byte("order")))
		r.Header.Set("X-Number", strconv.FormatInt(number.Add(1), 10))
		r.GetBody = nil // the test's own client must not send it again either
		return r
	}, harness.WantStatus(200))

	kill := time.NewTicker(2 * time.Second)
	defer kill.Stop()
	kills := 0
	for end := time.Now().Add(*loadTime); time.Now().Before(end); kills++ {
		<-kill.C
		victim := recorders[kills%len(recorders)]
		victim.kill()
		victim.start(t)
	}
	gets.MustNotFail(t, 1000)
	lost := posts.Stop()

	seen := map[string]int{}
	for _, r := range recorders {
		text, err := os.ReadFile(r.file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(text) {
			if seen[string(bytes.TrimSpace(line))]++; seen[string(bytes.TrimSpace(line))] > 1 {
				t.Errorf("POST %s reached the backends more than once", bytes.TrimSpace(line))
			}
		}
	}
	t.Logf("%d GETs without a failure; %d POSTs answered, %d failed, %d reached a backend",
		gets.Done.Load(), posts.Done.Load(), len(lost), len(seen))
	if posts.Done.Load() < 100 || int64(len(seen)) < posts.Done.Load() {
		t.Errorf("%d POSTs were answered but %d recorded", posts.Done.Load(), len(seen))
	}
	// A server that is killed takes with it what was on its way to it. Where little is done, that is a larger share.
	if share := float64(len(lost)) / float64(number.Load()); share > 0.01 && len(lost) > posters*kills {
		t.Errorf("%.1f %% of the POSTs failed, with %d servers killed; the first: %s", 100*share, kills, lost[0])
	}
}
