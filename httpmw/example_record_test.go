package httpmw_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/netparts/netparts/httpmw"
)

// Middleware of one's own learns what a handler has sent, and the handler can still flush,
// hijack and send files.
func ExampleRecord() {
	report := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			recorder, w := httpmw.Record(w)
			next.ServeHTTP(w, r)
			fmt.Println(recorder.Status(), recorder.Bytes(), recorder.Err())
		})
	}
	handler := report(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		if _, err := io.WriteString(w, "short and stout"); err != nil {
			return // the Recorder knows
		}
		if err := http.NewResponseController(w).Flush(); err != nil {
			log.Print(err)
		}
	}))

	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	// Output:
	// 418 15 <nil>
}
