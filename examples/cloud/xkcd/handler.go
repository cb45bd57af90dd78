package xkcd

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"

	"github.com/netparts/netparts/httpmw"
)

// maxBody bounds the bodies of requests.
const maxBody = 4 << 10

// FeedHeader is the header of a response that says how the feed was: "fresh", "stale" if
// the response is of an earlier fetch, or "unavailable" if it is Default.
const FeedHeader = "Feed-State"

// Handler returns the service as a handler of POST requests, whose body is a Request as
// JSON, or empty, which is the same as {}.
//
// It answers with a Response, and with 200 also if the feed fails: FeedHeader tells. What
// is no JSON of a Request is answered with 400 and Default, so that a client that looks at
// the body alone still has one. Each request is one record of the log, with the fault of
// the feed in it.
func (s *Service) Handler() http.Handler {
	return httpmw.Chain(
		httpmw.WideEvent(s.logger, nil),
		httpmw.Recover(s.logger),
		httpmw.NoSniff,
		httpmw.DrainAndClose(nil),
		httpmw.MaxBody(maxBody),
	)(httpmw.Methods(map[string]http.Handler{http.MethodPost: http.HandlerFunc(s.post)}))
}

func (s *Service) post(w http.ResponseWriter, r *http.Request) {
	req, err := decode(r.Body)
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		http.Error(w, http.StatusText(http.StatusRequestEntityTooLarge), http.StatusRequestEntityTooLarge)
		return
	}
	if err != nil {
		httpmw.AddFields(r.Context(), slog.String("request_error", err.Error()))
		answer(w, r, http.StatusBadRequest, Default())
		return
	}
	// The context ends when the client leaves, and the fetch with it if nobody else
	// waits.
	items, err := s.feed.Items(r.Context(), req.Refresh)
	state := "fresh"
	switch {
	case err != nil && items == nil:
		state = "unavailable"
	case err != nil:
		state = "stale"
	}
	if err != nil {
		httpmw.AddFields(r.Context(), slog.String("feed_error", err.Error()))
	}
	w.Header().Set(FeedHeader, state)
	answer(w, r, http.StatusOK, Pick(items, req.Previous))
}

// decode reads the whole body: a decoder would stop after the first value, and take
// `{} and more` for a request.
func decode(body io.Reader) (req Request, err error) {
	b, err := io.ReadAll(body)
	if err != nil {
		return req, fmt.Errorf("xkcd: reading a request: %w", err)
	}
	if len(bytes.TrimSpace(b)) == 0 {
		return req, nil
	}
	if err := json.Unmarshal(b, &req); err != nil {
		return req, fmt.Errorf("xkcd: decoding a request: %w", err)
	}
	return req, nil
}

func answer(w http.ResponseWriter, r *http.Request, status int, resp Response) {
	b, err := json.Marshal(resp)
	if err != nil {
		panic(err) // three strings are always JSON
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if _, err := w.Write(append(b, '\n')); err != nil {
		httpmw.AddFields(r.Context(), slog.String("write_error", err.Error()))
	}
}
