package api

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"net/http"
	"time"
)

// serveSupportDump answers with an archive to send to whoever helps: the files of Traefik's, without secrets.
func (a *api) serveSupportDump(w http.ResponseWriter, now *state) {
	v := a.options.Version
	body, err := archive([]archived{
		{"version.json", struct {
			Version   string    `json:"version"`
			Codename  string    `json:"codename"`
			StartDate time.Time `json:"startDate"`
			Commit    string    `json:"commit,omitempty"`
			BuildDate string    `json:"buildDate,omitempty"`
		}{v.Version, v.Codename, v.StartDate, v.Commit, v.BuildDate}},
		{"static-config.json", withoutSecretsIn(a.options.Static)},
		{"runtime-config.json", newRawData(now.View)},
	}, time.Now())
	if err != nil {
		writeError(w, http.StatusInternalServerError, err.Error())
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/gzip")
	h.Set("Content-Disposition", "attachment; filename=support-dump.tar.gz")
	w.Write(body)
}

// withoutSecretsIn is any value as JSON has it, without its secrets; nil for one that JSON cannot have.
func withoutSecretsIn(v any) any {
	text, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	var plain any
	if json.Unmarshal(text, &plain) != nil {
		return nil
	}
	return hideSecrets(plain)
}

// archived is a file of an archive, before it is JSON.
type archived struct {
	name    string
	content any
}

// archive makes a compressed tar archive of files.
func archive(files []archived, now time.Time) ([]byte, error) {
	var b bytes.Buffer
	compressed := gzip.NewWriter(&b)
	t := tar.NewWriter(compressed)
	for _, f := range files {
		text, err := json.Marshal(f.content)
		if err != nil {
			return nil, err
		}
		if err := t.WriteHeader(&tar.Header{Name: f.name, Mode: 0o600, Size: int64(len(text)), ModTime: now}); err != nil {
			return nil, err
		}
		if _, err := t.Write(text); err != nil {
			return nil, err
		}
	}
	if err := t.Close(); err != nil {
		return nil, err
	}
	if err := compressed.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
