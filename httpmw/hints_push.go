package httpmw

import "net/http"

// representing are the headers of a request on which the representation of a resource
// depends. Cookies and credentials are not among them: what is pushed is what everybody
// gets. Nor is Accept, which is about the page.
var representing = []string{"Accept-Encoding", "Accept-Language", "User-Agent"}

// Push sends resources before the client asks for them (RFC 9113 section 8.4), where the
// connection has HTTP/2, the client wants that, and the request is not itself pushed.
// Otherwise it does nothing: browsers of today do not want it, and [EarlyHints] serves them.
//
// Targets are as those of a [Hint], in the same authority, and each is pushed once in a call,
// with GET. It must be called before the response begins, so that the client knows of a push
// before it reads what needs it. Accept-Encoding, Accept-Language and User-Agent, on which
// representations depend, are taken over from the request; cookies and credentials are not.
// The error is about a target that is refused, and then none is pushed.
func Push(w http.ResponseWriter, r *http.Request, targets ...string) error {
	pushed := make(map[string]bool, len(targets))
	own := make([]string, 0, len(targets))
	for _, t := range targets {
		target, err := ownTarget(t, r)
		if err != nil {
			return err
		}
		if !pushed[target] {
			pushed[target] = true
			own = append(own, target)
		}
	}
	pusher := findPusher(w)
	if pusher == nil {
		return nil
	}
	for _, target := range own {
		header := make(http.Header, len(representing))
		for _, key := range representing {
			if values := r.Header[key]; len(values) > 0 {
				header[key] = values
			}
		}
		if pusher.Push(target, &http.PushOptions{Header: header}) != nil {
			// The target is not at fault. The client has no use for pushes, or has
			// enough of them, and will ask by itself.
			return nil
		}
	}
	return nil
}

// findPusher returns the writer that pushes, which may be below one that cannot.
func findPusher(w http.ResponseWriter) http.Pusher {
	for {
		if p, ok := w.(http.Pusher); ok {
			return p
		}
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return nil
		}
		w = u.Unwrap()
	}
}
