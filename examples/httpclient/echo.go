package httpclient

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/netparts/netparts/httpmw"
)

// A Reply is what [Echo] answers, in the shape that public services of this kind have made
// common.
type Reply struct {
	// Args, Form and Files are the parameters of the query, and the fields and the files of a
	// form. One with a single value is a string, and one with several a list of them.
	Args  map[string]any `json:"args"`
	Form  map[string]any `json:"form"`
	Files map[string]any `json:"files"`

	// Data is the body, if it is not a form. What is not UTF-8, also of a file, is a data
	// URL in base64.
	Data string `json:"data"`

	// JSON is the body, if it is JSON, and null otherwise.
	JSON json.RawMessage `json:"json"`

	// Headers are those of the request, without those that carry secrets.
	Headers map[string]string `json:"headers"`

	// Origin is the address of the client, and URL what it has asked for.
	Origin string `json:"origin"`
	URL    string `json:"url"`
}

// Echo returns a service that answers requests with a [Reply] about them, so that one can
// see what a client sends. A body may have limit bytes; a longer one gets 413, and a form
// that cannot be read, 400.
//
// Everything is in memory: the body a few times over, the reply, which escapes bytes, and at
// most a thousand parts of a form. Cookies and credentials are left out, since a script
// that may not see its own could otherwise have them told, as by TRACE (RFC 9110 section
// 9.3.8).
func Echo(limit int64) http.Handler {
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reply, err := newReply(r)
		if err != nil {
			status := http.StatusBadRequest
			if _, ok := errors.AsType[*http.MaxBytesError](err); ok || errors.Is(err, multipart.ErrMessageTooLarge) {
				status = http.StatusRequestEntityTooLarge
			}
			http.Error(w, http.StatusText(status), status)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		// Without indentation, of which lists within lists get as much as their depth squared.
		_ = json.NewEncoder(w).Encode(reply) // it fails if the client has gone
	})
	return httpmw.Chain(httpmw.NoSniff, httpmw.DrainAndClose(nil), httpmw.MaxBody(limit))(httpmw.Methods(map[string]http.Handler{
		http.MethodGet:    echo,
		http.MethodPost:   echo,
		http.MethodPut:    echo,
		http.MethodPatch:  echo,
		http.MethodDelete: echo,
	}))
}

func newReply(r *http.Request) (*Reply, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	reply := &Reply{
		Args:    values(query),
		Form:    map[string]any{},
		Files:   map[string]any{},
		Headers: headers(r.Header),
		Origin:  r.RemoteAddr,
		URL:     location(r),
	}
	// Whom a proxy has asked for stands in X-Forwarded-For, and so may what a client made up.
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		reply.Origin = host
	}
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		kind = "" // none, or one that cannot be read
	}
	switch kind {
	case "multipart/form-data":
		return reply, reply.readParts(multipart.NewReader(r.Body, params["boundary"]))
	case "application/x-www-form-urlencoded":
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		form, err := url.ParseQuery(string(b))
		reply.Form = values(form)
		return reply, err
	}
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	reply.Data = text(b)
	if kind == "application/json" && json.Valid(b) {
		reply.JSON = b
	}
	return reply, nil
}

// readParts reads a form with files.
func (reply *Reply) readParts(r *multipart.Reader) error {
	// No file goes to the disk, as the limit on the body is one on them all.
	const all = 1 << 62
	form, err := r.ReadForm(all)
	if err != nil {
		return err
	}
	reply.Form = values(form.Value)
	files := make(url.Values)
	for name, headers := range form.File {
		for _, header := range headers {
			b, err := content(header)
			if err != nil {
				return err
			}
			files.Add(name, text(b))
		}
	}
	reply.Files = values(files)
	return form.RemoveAll()
}

func content(header *multipart.FileHeader) ([]byte, error) {
	file, err := header.Open()
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(file)
}

// values makes strings of the lists of a single one.
func values(lists map[string][]string) map[string]any {
	m := make(map[string]any, len(lists))
	for name, list := range lists {
		m[name] = list
		if len(list) == 1 {
			m[name] = list[0]
		}
	}
	return m
}

func headers(all http.Header) map[string]string {
	m := make(map[string]string, len(all))
	for name, list := range all {
		switch name {
		case "Authorization", "Cookie", "Proxy-Authorization":
		default:
			m[name] = strings.Join(list, ",")
		}
	}
	return m
}

// text returns b as JSON can hold it.
func text(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	return "data:application/octet-stream;base64," + base64.StdEncoding.EncodeToString(b)
}

// location returns the URL of a request, as the client has to have written it.
func location(r *http.Request) string {
	u := url.URL{Scheme: "http", Host: r.Host, Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
	if r.TLS != nil {
		u.Scheme = "https"
	}
	return u.String()
}
