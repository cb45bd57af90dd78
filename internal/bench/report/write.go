package report

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"

	"github.com/netparts/netparts/internal/bench/lab"
)

// PageFile is the page that [Write] writes.
const PageFile = "RESULTS.md"

// Write writes RESULTS.md into a folder, and a chart for each part with figures. The same
// figures give the same bytes.
func Write(dir string, parts []lab.Part, f *lab.Figures) error {
	p := page{parts: parts, figures: f}
	var err error
	p.each(func(part *lab.Part, found *lab.PartFigures) {
		var b bytes.Buffer
		if err == nil {
			err = chart(&b, part, found)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, chartFile(part)), b.Bytes(), 0o644)
		}
	})
	if err != nil {
		return err
	}
	text := strings.TrimRight(markdown(parts, f), "\n") + "\n"
	return os.WriteFile(filepath.Join(dir, PageFile), []byte(text), 0o644)
}

// chartFile is the name of the chart of a part.
func chartFile(p *lab.Part) string { return p.Name + ".svg" }
