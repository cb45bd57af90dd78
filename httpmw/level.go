package httpmw

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
)

// LevelHandler returns a handler that shows and sets a logger's level. GET answers
// {"level":"INFO"}. PUT of such a body sets the level and answers the same; "debug" and
// "INFO+2" are levels too, as with [slog.Level.UnmarshalText]. Any other body gets 400, one of
// more than 1 KiB 413, and other methods get 405. Who may ask is for what stands before it.
// It panics if level is nil.
func LevelHandler(level *slog.LevelVar) http.Handler {
	if level == nil {
		panic("httpmw: LevelHandler without a level")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodGet, http.MethodHead:
		case http.MethodPut:
			set, status := readLevel(http.MaxBytesReader(w, r.Body, 1<<10))
			if status != http.StatusOK {
				http.Error(w, http.StatusText(status), status)
				return
			}
			level.Set(set)
		default:
			w.Header().Set("Allow", "GET, HEAD, PUT")
			http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store") // it changes
		// What cannot be sent has nobody to go to.
		_ = json.NewEncoder(w).Encode(map[string]slog.Level{"level": level.Level()})
	})
}

// readLevel reads a level, and returns the status that says whether it is one.
func readLevel(body io.Reader) (slog.Level, int) {
	b, err := io.ReadAll(body)
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return 0, http.StatusRequestEntityTooLarge
	}
	// Anything else in it may be what its writer relies on.
	var object map[string]string
	if err != nil || json.Unmarshal(b, &object) != nil || len(object) != 1 {
		return 0, http.StatusBadRequest
	}
	var level slog.Level
	if level.UnmarshalText([]byte(object["level"])) != nil {
		return 0, http.StatusBadRequest
	}
	return level, http.StatusOK
}
