package httpmw_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/netparts/netparts/httpmw"
)

// A second server, for plain HTTP, sends everybody to the one that has TLS. Only requests
// for one's own names are sent anywhere.
func ExampleRedirectHTTPS() {
	plain := httptest.NewServer(httpmw.RedirectHTTPS("example.com", "www.example.com:8443"))
	defer plain.Close()

	client := &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	for _, host := range []string{"example.com", "www.example.com", "evil.example"} {
		r, err := http.NewRequest(http.MethodGet, plain.URL+"/chores?done=no", nil)
		if err != nil {
			log.Fatal(err)
		}
		r.Host = host
		resp, err := client.Do(r)
		if err != nil {
			log.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil {
			log.Fatal(err)
		}
		fmt.Println(resp.Status, resp.Header.Get("Location"))
	}
	// Output:
	// 301 Moved Permanently https://example.com/chores?done=no
	// 301 Moved Permanently https://www.example.com:8443/chores?done=no
	// 421 Misdirected Request
}
