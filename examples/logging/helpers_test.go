package logging_test

import (
	"io"
	"log/slog"
	"slices"
)

// onlyKeys writes records as text that have the attributes of some keys alone, from Debug on.
func onlyKeys(w io.Writer, keys ...string) slog.Handler {
	return slog.NewTextHandler(w, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if slices.Contains(keys, a.Key) {
				return a
			}
			return slog.Attr{}
		},
	})
}
