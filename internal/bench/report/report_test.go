package report_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/netparts/netparts/internal/bench/lab"
	"github.com/netparts/netparts/internal/bench/report"
)

// written are the files that Write makes, by their names.
func written(t *testing.T, parts []lab.Part, f *lab.Figures) map[string]string {
	t.Helper()
	dir := t.TempDir()
	if err := report.Write(dir, parts, f); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string]string)
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = string(data)
	}
	return files
}

// wantIn fails unless text has all of these, in this order.
func wantIn(t *testing.T, text string, want ...string) {
	t.Helper()
	rest := text
	for _, w := range want {
		_, after, ok := strings.Cut(rest, w)
		if !ok {
			t.Errorf("there is no %q, or not in its place", w)
			continue
		}
		rest = after
	}
}

func TestPage(t *testing.T) {
	parts, f := results()
	files := written(t, parts, f)
	page := files[report.PageFile]
	wantIn(t, page, "# Results\n", "`go run . -o .`", "(#targets)", "[tftp](#tftp)", "[echo](#echo)",
		"## How to read it", "## The machine", "A Processor (R) @ 2.0 GHz, 2 of them", "8.00 GiB", "Linux 6.1", "go1.26",
		"7 of each case that does not say otherwise, 3 of", "12m34s", "| Peer another | 1.0 |", "| Peer pin; pin, twice | example.com/pin v3.2.0 |",
		"timed 3 times", "21.0 ms in the median, 20.0 ms at best and 31.0 ms at worst",
		"- gone: apt-get install gone\n- haproxy: apt-get install haproxy",
		"## Targets", "of 7 targets 2 are met, 3 are missed, and 2 were not measured", "### Missed", "### Not measured", "### Met",
		"### Shown by tests", "- [odd](#odd): It has no \\| in it (`TestOdd`).\n",
		"\n## tftp\n", "Take ours for **windows**, and pin otherwise.\n\n- It is a list.", "](tftp.svg)",
		"- **pin**: the library `pin/tftp` (example.com/pin v3.2.0)", "- **bare**: sockets",
		"### case 0: ", "Contents are compared with `cmp`", "| ours | 115 |  | 8,696 |  | 0 |", "| pin | 118 | 1.02 (0.88 to 1.09) |",
		"### open connections", "By the number of connections:", "| memory KiB each ↓ | 1 | 10 | 100 | 1,000 | 10,000 |",
		"### transfers at once", "100 connections: failed: the client: out of ports", "pin at 1,000; 10,000: has 1,024 files",
		"\n## echo\n", "\n## odd\n")
	for _, part := range parts {
		for _, c := range part.Cases {
			if part.Name != "odd" && !strings.Contains(page, "### "+c.Name+"\n") {
				t.Errorf("%s: no case %q", part.Name, c.Name)
			}
		}
	}
	for _, no := range []string{"unmeasured", "forgotten", "no longer", "NaN", "Inf", "+Inf"} {
		if strings.Contains(page, no) {
			t.Errorf("the page has %q", no)
		}
	}
	if strings.Contains(page, "\n\n\n") || strings.HasSuffix(page, "\n\n") {
		t.Error("the page has empty lines too many")
	}
	var names []string
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	if want := []string{report.PageFile, "echo.svg", "odd.svg", "tftp.svg"}; !slices.Equal(names, want) {
		t.Errorf("files %q, want %q", names, want)
	}
}

// Each target stands where it belongs, with its reason.
func TestTargets(t *testing.T) {
	parts, f := results()
	page := written(t, parts, f)[report.PageFile]
	name := `names \| with &lt;tags&gt; &amp; signs\_of\_markup`
	wantIn(t, page, "### Missed",
		"| [odd](#odd) | "+name+" | allocations 0 | 2.00 (2.00 to 2.00) | The profile says so \\| honestly, of `a\\|b`. |",
		"| allocations at most 1 | 2.00 (2.00 to 2.00) | As above. |",
		"| [odd](#odd) | "+name+` | allocations at most 0.25 × p\|pe&lt;r&gt;'s | 0.45 (0.40 to 0.50) | No reason is known. |`,
		"### Not measured",
		"| allocations at most 0.5 × gone's |  | gone: no program gone:; apt-get install gone |",
		"| allocations at most 1 |  | the case failed: what came back differs; client: exit status 1 |",
		"### Met", `| p\|pe&lt;r&gt;'s allocations at least 3 | 4.50 (4.00 to 5.00) |`,
		"| nothing of ours | allocations 0 | 0 (0 to 0) |")
}

// What stands in names and errors is text, and each table has its columns.
func TestMarkupIsEscaped(t *testing.T) {
	parts, f := results()
	page := written(t, parts, f)[report.PageFile]
	_, section, _ := strings.Cut(page, "\n## odd\n")
	wantIn(t, section, `*a \| b &lt;c&gt; &amp; \*d\**`,
		`- **p\|pe&lt;r&gt;**: a peer \| with &lt;tags&gt; &amp;`, `**gone**: a program, which was not there: apt-get install gone`,
		`### names \| with &lt;tags&gt; &amp; signs\_of\_markup`, "It has &lt;b&gt;, \\|, and an odd \\` quote.",
		`| gone <br>*no program gone:; apt-get install gone* |`,
		"**Failed**: what came back differs; client: exit status 1", "| ours | 12,345,678 |",
		`### a growth &lt;without&gt; points`, "there are no figures")
	columns := 0
	for i, line := range strings.Split(page, "\n") {
		if !strings.HasPrefix(line, "|") {
			columns = 0
			continue
		}
		n := strings.Count(strings.ReplaceAll(line, `\|`, ""), "|")
		if columns != 0 && n != columns {
			t.Errorf("line %d has %d bars, the one before %d: %s", i+1, n, columns, line)
		}
		columns = n
	}
}

func TestSameBytes(t *testing.T) {
	parts, f := results()
	first := written(t, parts, f)
	for range 5 {
		for name, text := range written(t, parts, f) {
			if text != first[name] {
				t.Fatalf("%s differs from what was written before", name)
			}
		}
	}
}

// A drawing is what is in an SVG file.
type drawing struct {
	width, height float64
	texts         []string
	colours       map[string]string // of texts, where they stand first
}

func parse(t *testing.T, text string) drawing {
	t.Helper()
	d := drawing{colours: make(map[string]string)}
	style, inText := "", false
	for dec := xml.NewDecoder(strings.NewReader(text)); ; {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return d
		}
		if err != nil {
			t.Fatal(err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			inText = e.Name.Local == "text"
			for _, a := range e.Attr {
				switch {
				case a.Name.Local == "viewBox":
					box := strings.Fields(a.Value)
					d.width, _ = strconv.ParseFloat(box[2], 64)
					d.height, _ = strconv.ParseFloat(box[3], 64)
				case a.Name.Local == "style":
					style = a.Value
				case inText && a.Name.Local == "x":
					if x, err := strconv.ParseFloat(a.Value, 64); err != nil || x < 0 || x > 600 {
						t.Errorf("a text stands at x = %s", a.Value)
					}
				}
			}
		case xml.CharData:
			if inText {
				d.texts = append(d.texts, string(e))
				if _, fill, _ := strings.Cut(style, "fill:"); d.colours[string(e)] == "" {
					d.colours[string(e)] = fill
				}
				if !strings.Contains(style, ",sans-serif;") {
					t.Errorf("%q is in a font that viewers may lack: %s", e, style)
				}
			}
		case xml.EndElement:
			inText = false
		}
	}
}

func TestChart(t *testing.T) {
	heights := make(map[int]float64)
	for _, cases := range []int{3, 8, 22} {
		p, f := made("tftp", cases)
		files := written(t, []lab.Part{p}, &lab.Figures{Parts: []lab.PartFigures{f}})
		d := parse(t, files["tftp.svg"])
		heights[cases] = d.height
		if d.width != 600 || d.height < 300 || d.height > 2000 {
			t.Errorf("%d cases: %v by %v points", cases, d.width, d.height)
		}
		for _, c := range p.Cases {
			if !slices.Contains(d.texts, c.Name+" (server CPU ns)") {
				t.Errorf("%d cases: no %q", cases, c.Name)
			}
		}
		for _, g := range p.Growths {
			if !slices.Contains(d.texts, g.Name) {
				t.Errorf("%d cases: no %q", cases, g.Name)
			}
		}
		for _, want := range []string{"ours", "pin", "bare", "haproxy", "× 0.98", "10,000", "connections"} {
			if !slices.Contains(d.texts, want) {
				t.Errorf("%d cases: no %q", cases, want)
			}
		}
		if d.colours["pin"] == d.colours["bare"] || d.colours["pin"] == "" {
			t.Errorf("colours of two peers: %s and %s", d.colours["pin"], d.colours["bare"])
		}
	}
	if heights[3] >= heights[8] || heights[8] >= heights[22] {
		t.Errorf("heights %v, want more with more cases", heights)
	}
}

// A chart is drawn of whatever there is.
func TestOddChart(t *testing.T) {
	p, f := odd()
	files := written(t, []lab.Part{p, {Name: "empty"}}, &lab.Figures{Parts: []lab.PartFigures{f, {Name: "empty"}}})
	d := parse(t, files["odd.svg"])
	for _, want := range []string{
		"names | with <tags> & signs_of_markup (allocations)", "no program gone:; apt-get install gone",
		"∞", "× 0", "failed: what came back differs; client: exit status 1", "no figures", "less than the noise", "× 2.22",
	} {
		if !slices.Contains(d.texts, want) {
			t.Errorf("no %q in %q", want, d.texts)
		}
	}
	parse(t, files["empty.svg"])
	// Names longer than the chart is wide are broken, and those of peers cut.
	c := &p.Cases[1]
	c.Name = strings.Repeat("many words ", 30)
	f.Cases[1].Name, f.Cases[1].Sides[1].Name = c.Name, strings.Repeat("peer", 30)
	d = parse(t, written(t, []lab.Part{p}, &lab.Figures{Parts: []lab.PartFigures{f}})["odd.svg"])
	if !slices.ContainsFunc(d.texts, func(s string) bool { return strings.HasPrefix(s, "peerpeer") && strings.HasSuffix(s, "…") }) {
		t.Error("a long name of a peer is not cut")
	}
}

// Nothing at all is a page too.
func TestNoFigures(t *testing.T) {
	page := written(t, nil, &lab.Figures{})[report.PageFile]
	wantIn(t, page, "# Results", "`go run .`", "There are none.")
}

func TestUnwritable(t *testing.T) {
	parts, f := results()
	if err := report.Write(filepath.Join(t.TempDir(), "none"), parts, f); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v, want %v", err, fs.ErrNotExist)
	}
}

func TestTerminal(t *testing.T) {
	p, f := odd()
	var b bytes.Buffer
	for i := range p.Cases {
		if err := report.Case(&b, &p, &p.Cases[i], &f.Cases[i]); err != nil {
			t.Fatal(err)
		}
	}
	wantIn(t, b.String(), "\nodd: names | with <tags> & signs_of_markup (0 s)\n", "allocations ↓  ours is",
		"p|pe<r>  4.50           0.45 (0.40 to 0.50)", "gone", "no program gone:; apt-get install gone",
		"  target: allocations 0: missed: 2.00 (2.00 to 2.00)", "  target: allocations at most 0.5 × gone's: not measured\n",
		"odd: failed (0 s)\n  failed: what came back differs; client: exit status 1\n")
	b.Reset()
	p, f = made("tftp", 1)
	for i := range p.Growths {
		if err := report.Growth(&b, &p, &p.Growths[i], &f.Growths[i]); err != nil {
			t.Fatal(err)
		}
	}
	wantIn(t, b.String(), "tftp: open connections", "memory KiB each ↓  1", "pin                1,000  1,500",
		"pin at 1,000; 10,000: has 1,024 files | at most")
}
