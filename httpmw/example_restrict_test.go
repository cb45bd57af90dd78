package httpmw_test

import (
	"errors"
	"fmt"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/netparts/netparts/httpmw"
)

// Files are served from a folder that also holds some that are nobody's business: what
// begins with a dot looks as if it were not there.
func ExampleRestrictPrefix() {
	dir, err := os.MkdirTemp("", "files")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for _, name := range []string{"sage.svg", ".secret"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("<svg/>"), 0o600); err != nil {
			log.Fatal(err)
		}
	}

	files := http.FileServerFS(httpmw.RestrictFS(os.DirFS(dir), ".", nil))
	handler := http.StripPrefix("/static/", httpmw.RestrictPrefix(".", nil)(files))

	for _, path := range []string{"/static/", "/static/sage.svg", "/static/.secret", "/static/missing"} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, http.NoBody))
		fmt.Println(w.Result().Status, path)
	}
	// Output:
	// 200 OK /static/
	// 200 OK /static/sage.svg
	// 404 Not Found /static/.secret
	// 404 Not Found /static/missing
}

// Some names with a dot are there to be found, such as the one that certificate
// authorities ask for (RFC 8615).
func ExampleRestrictPrefix_exempt() {
	restrict := httpmw.RestrictPrefix(".", &httpmw.RestrictOptions{Exempt: []string{".well-known"}})
	handler := restrict(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "found", r.URL.Path)
	}))

	for _, path := range []string{"/.well-known/acme-challenge/token", "/.git/config"} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, http.NoBody))
		fmt.Print(w.Body)
	}
	// Output:
	// found /.well-known/acme-challenge/token
	// 404 page not found
}

// A file system without dot files serves whatever takes one: here a listing.
func ExampleRestrictFS() {
	dir, err := os.MkdirTemp("", "files")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for _, name := range []string{"index.html", "style.css", ".htpasswd"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			log.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		log.Fatal(err)
	}
	defer root.Close()

	files := httpmw.RestrictFS(root.FS(), ".", nil)
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		log.Fatal(err)
	}
	for _, e := range entries {
		fmt.Println(e.Name())
	}
	_, err = files.Open(".htpasswd")
	fmt.Println(err, errors.Is(err, fs.ErrNotExist))
	// Output:
	// index.html
	// style.css
	// open .htpasswd: file does not exist true
}

// A server shows what is listed, and nothing else: a file that is put into its folder by
// mistake stays unseen.
func ExampleAllowPaths() {
	allow := httpmw.AllowPaths("/index.html", "/static/")
	handler := allow(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "found", r.URL.Path)
	}))

	for _, path := range []string{"/index.html", "/static/css/style.css", "/backup.tar", "/static/../backup.tar"} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, http.NoBody))
		fmt.Print(w.Body)
	}
	// Output:
	// found /index.html
	// found /static/css/style.css
	// 404 page not found
	// 404 page not found
}
