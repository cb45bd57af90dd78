package httpclient_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"testing/iotest"
	"time"

	"github.com/netparts/netparts/examples/httpclient"
)

// A form with files is a sequence of parts, each with a header of its own, with a boundary
// between them. A small one may be made in memory.
func Example_multipart() {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	// By default the boundary is random, so that no file holds it. It is fixed here to
	// show what is sent.
	if err := form.SetBoundary("=boundary="); err != nil {
		log.Fatal(err)
	}
	if err := form.WriteField("description", "a greeting"); err != nil {
		log.Fatal(err)
	}
	part, err := form.CreateFormFile("file1", `say "hello".txt`) // any name, and it is quoted
	if err != nil {
		log.Fatal(err)
	}
	if _, err := io.WriteString(part, "Hello, world!\n"); err != nil {
		log.Fatal(err)
	}
	// Close writes the last boundary. A form without it is one that was cut off.
	if err := form.Close(); err != nil {
		log.Fatal(err)
	}
	fmt.Println("Content-Type:", form.FormDataContentType())
	fmt.Println()
	fmt.Println(strings.ReplaceAll(body.String(), "\r\n", "\n"))
	// Output:
	// Content-Type: multipart/form-data; boundary="=boundary="
	//
	// --=boundary=
	// Content-Disposition: form-data; name="description"
	//
	// a greeting
	// --=boundary=
	// Content-Disposition: form-data; name="file1"; filename="say \"hello\".txt"
	// Content-Type: application/octet-stream
	//
	// Hello, world!
	//
	// --=boundary=--
}

// An upload is what a form is made of.
type upload struct {
	fields [][2]string
	files  []uploadFile
}

// An uploadFile is opened when it is its turn, so that a form of many files has one open.
type uploadFile struct {
	field, name string
	open        func() (io.ReadCloser, error)
}

// write writes the form with its last boundary, unless something fails.
func (u upload) write(form *multipart.Writer) error {
	for _, field := range u.fields {
		if err := form.WriteField(field[0], field[1]); err != nil {
			return err
		}
	}
	for _, file := range u.files {
		if err := file.write(form); err != nil {
			return err
		}
	}
	return form.Close()
}

func (f uploadFile) write(form *multipart.Writer) error {
	from, err := f.open()
	if err != nil {
		return err
	}
	defer from.Close() // it was only read from
	part, err := form.CreateFormFile(f.field, f.name)
	if err != nil {
		return err
	}
	_, err = io.Copy(part, from)
	return err
}

// post sends the form and returns the status and at most limit bytes of the answer. The form
// is not held in memory: what writes it and what sends it take turns on a pipe, so files
// may be of any size. The price is that its length is not known, so it goes out in chunks,
// and that it cannot be sent once more, as some redirects would want.
func (u upload) post(ctx context.Context, client *http.Client, url string, limit int64) (status int, answer []byte, err error) {
	r, w := io.Pipe()
	form := multipart.NewWriter(w)
	var writing sync.WaitGroup
	writing.Go(func() {
		// A form that fails must not end as a whole one would: its error becomes that of
		// the request. Nil is the end.
		w.CloseWithError(u.write(form))
	})
	// However the request ends, be it by an answer to half a form, the writer ends too.
	defer writing.Wait()
	defer r.Close()

	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, r)
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", form.FormDataContentType())
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(http.MaxBytesReader(nil, resp.Body, limit))
	return resp.StatusCode, answer, err
}

// onDisk is a file of the system.
func onDisk(field, path string) uploadFile {
	return uploadFile{field, filepath.Base(path), func() (io.ReadCloser, error) { return os.Open(path) }}
}

// made is a file out of nothing.
func made(name string, r io.Reader) uploadFile {
	return uploadFile{"file", name, func() (io.ReadCloser, error) { return io.NopCloser(r), nil }}
}

// A form with two fields and two files goes to a service that answers with what has arrived.
func Example_multipartStream() {
	server := httptest.NewServer(httpclient.Echo(1 << 20))
	defer server.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // for both ways
	defer cancel()

	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	u := upload{fields: [][2]string{
		{"date", time.Date(2026, 3, 13, 12, 0, 0, 0, time.UTC).Format(time.RFC3339)},
		{"description", "a form with two files"},
	}}
	for _, file := range [][2]string{{"file1", "Hello, world!\n"}, {"file2", "Goodbye, world!\n"}} {
		path := filepath.Join(dir, file[0]+".txt")
		if err := os.WriteFile(path, []byte(file[1]), 0o600); err != nil {
			log.Fatal(err)
		}
		u.files = append(u.files, onDisk(file[0], path))
	}
	status, answer, err := u.post(ctx, server.Client(), server.URL+"/post?shape=echo", 1<<20)
	if err != nil {
		log.Fatal(err)
	}
	var reply httpclient.Reply
	if err := json.Unmarshal(answer, &reply); err != nil {
		log.Fatal(err)
	}
	fmt.Println(status)
	fmt.Println("args:", reply.Args)
	fmt.Println("form:", reply.Form)
	fmt.Println("files:", reply.Files)
	kind, _, _ := strings.Cut(reply.Headers["Content-Type"], ";")
	fmt.Println("Content-Type:", kind)
	// Output:
	// 200
	// args: map[shape:echo]
	// form: map[date:2026-03-13T12:00:00Z description:a form with two files]
	// files: map[file1:Hello, world!
	//  file2:Goodbye, world!
	// ]
	// Content-Type: multipart/form-data
}

// A receiver reads a form as a stream, too, and returns the names and sizes of its files.
type receiver struct {
	names []string
	bytes int64
	err   error
}

func (rec *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rec.err = rec.read(r)
	if rec.err != nil {
		http.Error(w, "Bad Request", http.StatusBadRequest)
	}
}

func (rec *receiver) read(r *http.Request) error {
	form, err := r.MultipartReader()
	if err != nil {
		return err
	}
	for {
		part, err := form.NextPart()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		rec.names = append(rec.names, part.FileName())
		n, err := io.Copy(io.Discard, part)
		rec.bytes += n
		if err != nil {
			return err
		}
	}
}

// Sixteen megabytes go through a form, and neither end allocates more than a small part
// of them.
func TestMultipartInConstantMemory(t *testing.T) {
	const size = 16 << 20
	var rec receiver
	server := httptest.NewServer(&rec)
	defer server.Close()
	u := upload{files: []uploadFile{made("large", io.LimitReader(zeros{}, size))}}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	status, _, err := u.post(t.Context(), server.Client(), server.URL, 1<<10)
	runtime.ReadMemStats(&after)
	if status != 200 || err != nil || rec.err != nil || rec.bytes != size {
		t.Fatalf("%d, %v; %d bytes arrived, %v", status, err, rec.bytes, rec.err)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > size/8 {
		t.Errorf("%d bytes were allocated for %d", used, size)
	}
}

// zeros is a reader without an end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// What fails while a form is written fails the request with that error. The server
// sees a form that was cut off, and never takes half a file for a whole one.
func TestMultipartThatFails(t *testing.T) {
	gone := errors.New("the disk is gone")
	for name, tt := range map[string]struct {
		file uploadFile
		want error
	}{
		"opening": {onDisk("file", filepath.Join(t.TempDir(), "none")), fs.ErrNotExist},
		"reading": {made("half", io.MultiReader(io.LimitReader(zeros{}, 1<<20), iotest.ErrReader(gone))), gone},
	} {
		t.Run(name, func(t *testing.T) {
			arrived := make(chan error, 1)
			server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				arrived <- new(receiver).read(r)
			}))
			defer server.Close()
			u := upload{fields: [][2]string{{"a", "b"}}, files: []uploadFile{tt.file}}
			_, _, err := u.post(t.Context(), server.Client(), server.URL, 1<<10)
			if !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
			select {
			case err = <-arrived:
				if err == nil {
					t.Error("the server has seen a whole form")
				}
			default: // so little was written that the request did not go out
			}
		})
	}
}

// The goroutine that writes a form ends with the request: when nobody can be dialed, when the
// server answers before it has read the form, and when the time is up.
func TestMultipartWriterEnds(t *testing.T) {
	early := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "No", http.StatusForbidden)
	}))
	defer early.Close()
	// A handler that leaves the body would not learn from its context that the client has gone:
	// the server finds out as it reads.
	greedy := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // which has no end until the client goes
	}))
	defer greedy.Close()
	closed := httptest.NewServer(nil)
	closed.Close()
	for name, tt := range map[string]struct {
		url   string
		limit time.Duration
	}{
		"no server":    {closed.URL, time.Minute},
		"no URL":       {"http://[", time.Minute},
		"early answer": {early.URL, time.Minute},
		"time is up":   {greedy.URL, 50 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			var closed atomic.Bool
			u := upload{files: []uploadFile{{"file", "endless", func() (io.ReadCloser, error) {
				return endless{closed: &closed}, nil
			}}}}
			ctx, cancel := context.WithTimeout(t.Context(), tt.limit)
			defer cancel()
			// It returns when the writer has ended, so it must not hang. Whether an early answer
			// is read before the connection breaks is a race that nobody can win.
			status, _, err := u.post(ctx, early.Client(), tt.url, 1<<10)
			if status != http.StatusForbidden && err == nil {
				t.Errorf("status %d", status)
			}
			if !closed.Load() {
				t.Error("the file is still open")
			}
		})
	}
}

// endless is a file without an end that notes that it was closed.
type endless struct {
	zeros
	closed *atomic.Bool
}

func (e endless) Close() error {
	e.closed.Store(true)
	return nil
}

// Names come back as they were given, up to folders, of which a receiver keeps nothing: what
// a client calls its file is no place to store it at.
func TestMultipartNames(t *testing.T) {
	var u upload
	var want []string
	for _, tt := range [][2]string{
		{"plain.txt", "plain.txt"},
		{`with "quotes"`, `with "quotes"`},
		{"Grüße;=,.txt", "Grüße;=,.txt"},
		{"../../etc/passwd", "passwd"},
		{"line\r\nX-Forged: header", "line%0D%0AX-Forged: header"},
	} {
		u.files = append(u.files, made(tt[0], strings.NewReader("")))
		want = append(want, tt[1])
	}
	var rec receiver
	server := httptest.NewServer(&rec)
	defer server.Close()
	if status, _, err := u.post(t.Context(), server.Client(), server.URL, 1<<10); status != 200 || err != nil || rec.err != nil {
		t.Fatal(status, err, rec.err)
	}
	if got := fmt.Sprintf("%q", rec.names); got != fmt.Sprintf("%q", want) {
		t.Errorf("%s, want %q", got, want)
	}
}

// Files of any fs.FS can be sent.
func TestMultipartFromFS(t *testing.T) {
	files := fstest.MapFS{"a/b.txt": {Data: []byte("in a file system")}}
	server := httptest.NewServer(httpclient.Echo(1 << 10))
	defer server.Close()
	u := upload{files: []uploadFile{{"f", "b.txt", func() (io.ReadCloser, error) { return files.Open("a/b.txt") }}}}
	status, answer, err := u.post(t.Context(), server.Client(), server.URL, 1<<20)
	if status != 200 || err != nil || !bytes.Contains(answer, []byte(`"f":"in a file system"`)) {
		t.Errorf("%d, %s, %v", status, answer, err)
	}
}
