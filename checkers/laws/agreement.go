package laws

// complete demands that p has every record that was shown as committed.
func (r *Replication) complete(p *replica, law *Law) {
	hw := r.trueHW()
	if end := p.log.end(); end < hw {
		r.fail(*law, p.node, "%v has %d records; %d were shown as committed", p.node, end, hw)
		return
	}
	if o := r.compare(p, hw, false); o >= 0 {
		r.fail(*law, p.node, "%v has another record at %d than was shown as committed", p.node, o)
	}
}

// compare looks at what was not compared yet of p's log below end. It returns
// the first offset where it departs from the truth, or -1.
func (r *Replication) compare(p *replica, end int64, keep bool) int64 {
	end = min(end, r.truth.end())
	from := max(p.same, r.truth.base)
	for o := from; o < end; o++ {
		if differ(p.log.at(o), r.truth.at(o)) {
			return o
		}
	}
	if !keep {
		p.same = max(p.same, min(end, p.log.end()))
	}
	return -1
}

// agree: of what a replica that presumes to lead shows as committed, none of
// these has another record.
func (r *Replication) agree(p *replica, members []Node, law *Law) {
	for _, n := range members {
		if o := r.compare(r.of(n), p.hw, false); n != p.node && o >= 0 {
			r.fail(*law, n, "%v has another record at %d than leader %v, which counts it, shows as committed below %d", n, o, p.node, p.hw)
		}
	}
}
