package heartbeat

// A queue is the runs of a Scheduler, as a heap: the first is due first. Touch does
// not change it, which is what makes Touch cheap: a Pinger that was touched meanwhile
// is found out when it is due, and put back.
//
// Each node has four children, whose times are next to each other in one line of the
// processor's cache: to put the first of ten thousand back takes seven of those, where
// a heap of pointers with two children each takes two dozen.
type queue []entry

type entry struct {
	due int64 // that of run
	run *run
}

const children = 4

// push adds r.
func (q *queue) push(r *run) {
	r.index = len(*q)
	*q = append(*q, entry{r.due, r})
	q.up(r.index)
}

// remove takes r out.
func (q *queue) remove(r *run) {
	i, last := r.index, len(*q)-1
	moved := (*q)[last]
	(*q)[last] = entry{}
	*q = (*q)[:last]
	r.index = -1
	if i < last {
		q.set(i, moved)
		q.fix(moved.run)
	}
}

// fix puts r where it belongs, after its due has changed.
func (q *queue) fix(r *run) {
	(*q)[r.index].due = r.due
	if i := r.index; q.down(i) == i {
		q.up(i)
	}
}

func (q *queue) set(i int, e entry) {
	(*q)[i] = e
	e.run.index = i
}

func (q *queue) up(i int) {
	e := (*q)[i]
	for i > 0 {
		parent := (i - 1) / children
		if (*q)[parent].due <= e.due {
			break
		}
		q.set(i, (*q)[parent])
		i = parent
	}
	q.set(i, e)
}

// down returns where entry i has got to.
func (q *queue) down(i int) int {
	e, all := (*q)[i], *q
	for {
		first := children*i + 1
		if first >= len(all) {
			break
		}
		least := first
		for j := first + 1; j < min(first+children, len(all)); j++ {
			if all[j].due < all[least].due {
				least = j
			}
		}
		if all[least].due >= e.due {
			break
		}
		q.set(i, all[least])
		i = least
	}
	q.set(i, e)
	return i
}
