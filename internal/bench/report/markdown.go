package report

import (
	"strings"
)

// markup is what Markdown and the HTML in it give a meaning to.
var markup = strings.NewReplacer(
	`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "~", `\~`, "|", `\|`, "#", `\#`, "$", `\$`,
	"&", "&amp;", "<", "&lt;", ">", "&gt;",
)

// plain is text in which nothing is markup, on one line.
func plain(s string) string { return markup.Replace(strings.Join(strings.Fields(s), " ")) }

// prose is the same, but for what stands between backquotes, which remains code.
func prose(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if strings.Count(s, "`")%2 != 0 {
		return plain(s)
	}
	var b strings.Builder
	for i, piece := range strings.Split(s, "`") {
		if i%2 == 0 {
			b.WriteString(markup.Replace(piece))
		} else {
			// A bar ends a cell even within code.
			b.WriteString("`" + strings.ReplaceAll(piece, "|", `\|`) + "`")
		}
	}
	return b.String()
}

// markdown is the table with names at the left and figures at the right.
func (t *table) markdown() string {
	var b strings.Builder
	line := func(cells []string) { b.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	var head []string
	for _, h := range t.head {
		head = append(head, plain(h))
	}
	line(head)
	b.WriteString("|---" + strings.Repeat("|--:", len(head)-1) + "|\n")
	for _, r := range t.rows {
		var cells []string
		for _, c := range r.cells {
			cells = append(cells, plain(c))
		}
		if r.note != "" {
			cells[0] += " <br>*" + prose(oneLine(r.note)) + "*"
		}
		line(cells)
	}
	return b.String()
}
