package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/netparts/netparts/examples/cloud/internal/rig"
)

// A runtime is the API that Lambda gives to the programs that it starts: they ask for the
// next invocation, and send its outcome.
type runtime struct {
	addr        string // for AWS_LAMBDA_RUNTIME_API
	invocations chan invocation
	outcomes    chan outcome
}

// An invocation is what a client of Lambda sent.
type invocation struct {
	id      string
	payload string
	time    time.Duration // until the deadline
}

// An outcome is what the program made of an invocation.
type outcome struct {
	id   string
	kind string // "response" or "error"
	body string
}

// A failure is the body of an outcome of the kind "error".
type failure struct {
	ErrorMessage string `json:"errorMessage"`
	ErrorType    string `json:"errorType"`
	StackTrace   []any  `json:"stackTrace"`
}

const apiRoot = "/2018-06-01/runtime/invocation/"

func newRuntime(t *testing.T) *runtime {
	t.Helper()
	r := &runtime{invocations: make(chan invocation, 10), outcomes: make(chan outcome, 10)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+apiRoot+"next", r.next)
	mux.HandleFunc("POST "+apiRoot+"{id}/{kind}", r.outcome)
	mux.HandleFunc("/", func(w http.ResponseWriter, req *http.Request) {
		t.Errorf("the program asked for %s %s", req.Method, req.URL)
		http.NotFound(w, req)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	r.addr = strings.TrimPrefix(server.URL, "http://")
	return r
}

// next answers with the next invocation, and before that waits for one.
func (r *runtime) next(w http.ResponseWriter, req *http.Request) {
	select {
	case i := <-r.invocations:
		h := w.Header()
		h.Set("Lambda-Runtime-Aws-Request-Id", i.id)
		h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(time.Now().Add(i.time).UnixMilli(), 10))
		h.Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-central-1:123456789012:function:xkcd")
		fmt.Fprint(w, i.payload)
	case <-req.Context().Done():
	}
}

func (r *runtime) outcome(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.outcomes <- outcome{req.PathValue("id"), req.PathValue("kind"), string(body)}
	w.WriteHeader(http.StatusAccepted)
}

// invoke sends one invocation, and waits for its outcome.
func (r *runtime) invoke(t *testing.T, payload string, limit time.Duration) outcome {
	t.Helper()
	id := strconv.FormatInt(time.Now().UnixNano(), 10)
	r.invocations <- invocation{id, payload, limit}
	select {
	case o := <-r.outcomes:
		if o.id != id {
			t.Errorf("the outcome is of invocation %q, want %q", o.id, id)
		}
		return o
	case <-time.After(rig.Limit):
		t.Fatal("no outcome")
	}
	return outcome{}
}

// decode decodes a body of an outcome of one kind.
func decode[T any](t *testing.T, o outcome, kind string) (v T) {
	t.Helper()
	if o.kind != kind {
		t.Fatalf("the outcome is %s %s, want %s", o.kind, o.body, kind)
	}
	if err := json.Unmarshal([]byte(o.body), &v); err != nil {
		t.Fatalf("%s: %v", o.body, err)
	}
	return v
}
