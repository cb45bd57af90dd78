package httpmw_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"

	"github.com/netparts/netparts/httpmw"
)

// Store is what the handlers need of a database.
type Store interface {
	Add(chore string) error
	All() []string
}

// Chores holds what several handlers need. Another dependency is another field, and
// changes no handler that does without.
type Chores struct {
	Store  Store
	Logger *slog.Logger
}

// List answers with all chores.
func (c *Chores) List() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Without a type, what somebody has added could make a script of it.
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintln(w, strings.Join(c.Store.All(), ", "))
	})
}

// Add takes a chore.
func (c *Chores) Add() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		chore, err := io.ReadAll(r.Body)
		if err == nil {
			err = c.Store.Add(string(chore))
		}
		if err != nil {
			c.Logger.WarnContext(r.Context(), "not added", "err", err)
			http.Error(w, "not added", http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

// memory is a Store for tests.
type memory struct {
	mu     sync.Mutex
	chores []string
}

func (m *memory) Add(chore string) error {
	if chore == "" {
		return errors.New("a chore without a name")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.chores = append(m.chores, chore)
	return nil
}

func (m *memory) All() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.chores) // which Add does not change
}

// Handlers that need the same things are methods of a struct that holds them.
func Example_struct() {
	chores := &Chores{Store: new(memory), Logger: slog.New(slog.DiscardHandler)}
	handler := httpmw.Methods(map[string]http.Handler{
		http.MethodGet:  chores.List(),
		http.MethodPost: httpmw.MaxBody(1 << 10)(chores.Add()),
	})
	for _, r := range []*http.Request{
		httptest.NewRequest(http.MethodPost, "/chores", strings.NewReader("sweep")),
		httptest.NewRequest(http.MethodPost, "/chores", nil),
		httptest.NewRequest(http.MethodGet, "/chores", nil),
	} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Printf("%s: %d %q\n", r.Method, w.Code, w.Body)
	}
	// Output:
	// POST: 204 ""
	// POST: 400 "not added\n"
	// GET: 200 "sweep\n"
}
