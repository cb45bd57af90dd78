package httpmw

import (
	"context"
	"log"
	"log/slog"
	"strings"
)

// errorLog returns a logger for net/http that reports to logger.
func errorLog(logger *slog.Logger) *log.Logger {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return log.New(messages{logger}, "", 0)
}

// messages takes what net/http logs. slog.NewLogLogger would do, were it not that the
// value of a panic or the text of an error can hold what a client has sent.
type messages struct{ logger *slog.Logger }

func (m messages) Write(p []byte) (int, error) {
	ctx := context.Background()
	if !m.logger.Enabled(ctx, slog.LevelWarn) {
		return len(p), nil
	}
	message, stack, _ := strings.Cut(strings.TrimSuffix(string(p), "\n"), "\n")
	var attrs []slog.Attr
	if stack != "" {
		attrs = append(attrs, slog.String("stack", escape(stack, "\n\t", maxStack)))
	}
	m.logger.LogAttrs(ctx, slog.LevelWarn, printable(message), attrs...)
	return len(p), nil
}
