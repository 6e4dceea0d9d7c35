package clients

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
)

// ready is the part of a ready file that the tests use.
type ready struct {
	Vaults  []struct{ Name string }
	Control struct {
		URL       string `json:"url"`
		TokenFile string `json:"token_file"`
	}
}

func readyFile(t *testing.T) ready {
	t.Helper()
	path := os.Getenv("KYANITE_READY_FILE")
	if path == "" {
		t.Fatal("KYANITE_READY_FILE is not set: run tests/clients/run")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var found ready
	if err := json.Unmarshal(text, &found); err != nil {
		t.Fatal(err)
	}
	return found
}

func vaultURL(t *testing.T) string {
	return "https://" + readyFile(t).Vaults[0].Name + ".vault.azure.net/"
}

// control speaks to the stack's control door, which no Azure client knows.
func control(t *testing.T, method, path string, body any) []byte {
	t.Helper()
	door := readyFile(t).Control
	token, err := os.ReadFile(door.TokenFile)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequest(method, door.URL+path, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode >= 300 {
		t.Fatalf("%s %s: %s: %s", method, path, response.Status, answer)
	}
	return answer
}

type object = map[string]any

// withAccess has the vault decide by another model for as long as the test runs.
func withAccess(t *testing.T, access any) {
	vault := readyFile(t).Vaults[0].Name
	control(t, "POST", "/vault", object{"set_access": object{"vault": vault, "access": access}})
	t.Cleanup(func() {
		control(t, "POST", "/vault", object{"set_access": object{"vault": vault, "access": "open"}})
	})
}

// throttled has the next request about an object refused with 429.
func throttled(t *testing.T, name string) (struck func() int) {
	refuse := object{"status": 429, "retry_after_seconds": 1}
	fault := object{"effect": object{"refuse": refuse}, "object": name, "count": 1}
	var injected struct{ ID json.Number }
	if err := json.Unmarshal(control(t, "POST", "/faults", fault), &injected); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { control(t, "DELETE", "/faults/"+injected.ID.String(), nil) })
	return func() int {
		var status struct {
			Vault struct {
				Faults []struct {
					ID     json.Number
					Struck int
				}
			}
		}
		if err := json.Unmarshal(control(t, "GET", "/status", nil), &status); err != nil {
			t.Fatal(err)
		}
		for _, fault := range status.Vault.Faults {
			if fault.ID == injected.ID {
				return fault.Struck
			}
		}
		return -1
	}
}
