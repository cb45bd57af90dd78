package report

import (
	"fmt"

	"github.com/netparts/netparts/internal/bench/lab"
)

// What became of a target.
const (
	met         = "met"
	missed      = "missed"
	notMeasured = "not measured"
)

// A verdict is what became of a target.
type verdict struct {
	part, name string
	target     string // in words
	measured   string // with the spread, or empty
	result     string // of those above
	reason     string // why it is missed or not measured, if somebody knows
}

// judge looks whether a case keeps a target.
func judge(p *lab.Part, c *lab.Case, f *lab.CaseFigures, t lab.Target) verdict {
	v := verdict{part: p.Name, name: c.Name, target: inWords(t)}
	s, kept := f.Check(t)
	switch {
	case s.Rounds == 0:
		v.result, v.reason = notMeasured, whyNot(f, t)
		return v
	case kept:
		v.result = met
	default:
		v.result, v.reason = missed, t.Reason
	}
	v.measured = spread(s)
	return v
}

// whyNot says why a target has no figure.
func whyNot(f *lab.CaseFigures, t lab.Target) string {
	for _, name := range []string{t.Side, t.Than} {
		if s := f.Side(name); s != nil && s.Absent != "" {
			return fmt.Sprintf("%s: %s", name, oneLine(s.Absent))
		}
	}
	if f.Failed != "" {
		return "the case failed: " + oneLine(f.Failed)
	}
	return "there are no figures"
}

// inWords tells what a target is.
func inWords(t lab.Target) string {
	words := t.Metric
	if t.Side != "" && t.Side != lab.Ours {
		words = t.Side + "'s " + words
	}
	switch {
	case t.Zero:
		words += " 0"
	case t.AtLeast != 0:
		words += " at least " + shortest(t.AtLeast)
	default:
		words += " at most " + shortest(t.AtMost)
	}
	if t.Than != "" {
		words += " × " + t.Than + "'s"
	}
	return words
}

// verdicts are those of all targets of a part, in its order.
func verdicts(p *lab.Part, f *lab.PartFigures) (list []verdict) {
	for i := range f.Cases {
		if c := caseNamed(p, f.Cases[i].Name); c != nil {
			for _, t := range c.Targets {
				list = append(list, judge(p, c, &f.Cases[i], t))
			}
		}
	}
	return list
}
