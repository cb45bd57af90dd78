package httpmw_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/netparts/netparts/httpmw"
)

// A panic is logged, with its stack, which is left out here, and the client gets an answer.
func ExampleRecover() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == "stack" {
				return slog.Attr{}
			}
			return a
		},
	}))
	handler := httpmw.Recover(logger)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		panic("no chores left")
	}))

	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/chores", nil))
	fmt.Println(w.Result().Status)
	// Output:
	// level=ERROR msg="panic of a handler" method=GET uri=/chores type=string value="no chores left"
	// 500 Internal Server Error
}
