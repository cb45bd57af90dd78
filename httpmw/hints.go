package httpmw

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// A Hint is a resource that a page needs.
type Hint struct {
	// Target is an absolute path with a query if need be, such as
	// "/static/style.css", or a URL of the request's own scheme and host. What is
	// no character of a URL must be percent-encoded. It has no fragment.
	Target string
	// As is what it is for, such as "style", "script", "image" or "font". If empty,
	// the client has to guess, and some do not fetch it. Fonts are hinted at as
	// crossorigin, as browsers fetch them so, from any origin.
	As string
}

// EarlyHints tells the client what the response will need, in a 103 response (RFC 8297)
// before the handler has made it, and in the Link header of the response itself. Clients of
// HTTP/1.0 get the header alone. Of the other headers that are set already none goes out
// early. A resource that has been hinted at in this response is left out.
//
// It must be called before the response begins. That it has begun is an error, if middleware
// of this package outside knows of it ([Record]). A hint of another authority than the
// request's is an error, and so is a target or an As that is not allowed; then none is sent.
func EarlyHints(w http.ResponseWriter, r *http.Request, hints ...Hint) error {
	if rec := recorderOf(w); rec != nil && (rec.Status() != 0 || rec.Hijacked()) {
		return errors.New("httpmw: early hints after the response began")
	}
	hinted := preloaded(w.Header()["Link"], r)
	var links []string
	for _, hint := range hints {
		target, err := ownTarget(hint.Target, r)
		if err != nil {
			return err
		}
		if hint.As != "" && !isToken(hint.As) {
			return fmt.Errorf("httpmw: hint as %q, which is no token", hint.As)
		}
		if !hinted[target] {
			hinted[target] = true
			links = append(links, preload(target, hint.As))
		}
	}
	if len(links) == 0 {
		return nil
	}
	if r.ProtoAtLeast(1, 1) {
		sendEarly(w, links)
	}
	for _, link := range links {
		w.Header().Add("Link", link)
	}
	return nil
}

// preload returns a link of the Link header.
func preload(target, as string) string {
	link := "<" + target + ">; rel=preload"
	if as != "" {
		link += "; as=" + as
	}
	if as == "font" {
		link += "; crossorigin"
	}
	return link
}

// sendEarly sends a 103 with these links, for which the other headers have to stand aside.
func sendEarly(w http.ResponseWriter, links []string) {
	header := w.Header()
	aside := maps.Clone(header)
	clear(header)
	defer func() { // net/http panics in the goroutine that it has ended
		delete(header, "Link")
		delete(header, "Content-Length")
		maps.Copy(header, aside)
	}()
	header["Link"] = links
	// Not sent in a 103, but makes net/http send a copy with HTTP/2: it may still be at it
	// when this returns, if the client resets the stream.
	header["Content-Length"] = nil
	w.WriteHeader(http.StatusEarlyHints)
}

// preloaded returns the targets of this authority that Link headers ask to preload.
func preloaded(values []string, r *http.Request) map[string]bool {
	targets := make(map[string]bool)
	for _, value := range values {
		for {
			_, rest, ok := strings.Cut(value, "<")
			target, rest, closed := strings.Cut(rest, ">")
			if !ok || !closed {
				break
			}
			var params string
			params, value = cutUnquoted(rest, ',')
			if own, err := ownTarget(target, r); err == nil && isPreload(params) {
				targets[own] = true
			}
		}
	}
	return targets
}

// cutUnquoted cuts s at the first sep that stands in no quoted string.
func cutUnquoted(s string, sep byte) (before, after string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == sep && !quoted:
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

// isPreload reports whether the parameters of a link have the relation preload.
func isPreload(params string) bool {
	for params != "" {
		var param string
		param, params = cutUnquoted(params, ';')
		name, value, _ := strings.Cut(param, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "rel") {
			continue
		}
		// Only the first one counts (RFC 8288 section 3.3).
		return slices.ContainsFunc(strings.Fields(strings.Trim(strings.TrimSpace(value), `"`)), func(rel string) bool {
			return strings.EqualFold(rel, "preload")
		})
	}
	return false
}

// ownTarget returns the path and query of a target in the authority of r.
func ownTarget(target string, r *http.Request) (string, error) {
	refuse := func(why string) (string, error) {
		return "", fmt.Errorf("httpmw: target %q %s", target, why)
	}
	for i := range len(target) {
		if c := target[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("\"<>\\^`{|}", c) >= 0 {
			return refuse("has a character that is not allowed in a URL")
		}
	}
	u, err := url.Parse(target)
	switch {
	case err != nil:
		return "", fmt.Errorf("httpmw: target: %w", err)
	case strings.Contains(target, "#"):
		return refuse("has a fragment")
	case u.Scheme == "" && u.Host == "" && strings.HasPrefix(target, "/") && !strings.HasPrefix(target, "//"):
		return target, nil
	case u.Host == "":
		return refuse("is neither an absolute path nor a URL with a host")
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	if u.Scheme != scheme || u.User != nil || !sameHost(u.Host, r.Host, scheme) {
		return refuse("is of another authority than the request's")
	}
	if own := u.RequestURI(); !strings.HasPrefix(own, "//") {
		return own, nil
	}
	return refuse("has a path that would be taken for an authority")
}

// sameHost compares hosts with their ports, of which the scheme's own may be left out.
func sameHost(a, b, scheme string) bool {
	port := ":80"
	if scheme == "https" {
		port = ":443"
	}
	cut := func(host string) string {
		return strings.TrimSuffix(strings.TrimSuffix(host, port), ":")
	}
	return strings.EqualFold(cut(a), cut(b))
}
