package checkers

// Verdict is how a promise, a history or a run was judged.
type Verdict string

// The verdicts.
const (
	// Holds: everything that was promised was kept, and something was looked at.
	Holds Verdict = "holds"
	// Allowed: a promise was broken, and a setting or a fault that happened permits
	// it.
	Allowed Verdict = "allowed"
	// Inconclusive: nothing was looked at, or what was seen decides nothing.
	Inconclusive Verdict = "inconclusive"
	// Violated: a promise was broken, and nothing permits it.
	Violated Verdict = "violated"
)

// severity orders the verdicts: the greater one is told of several.
func (v Verdict) severity() int {
	switch v {
	case Violated:
		return 4
	case Inconclusive:
		return 3
	case Allowed:
		return 2
	case Holds:
		return 1
	}
	return 0
}

// Worst is the verdict of several together: violated, inconclusive, allowed or
// holds, whichever comes first. Of none it is empty.
func Worst(verdicts ...Verdict) (worst Verdict) {
	for _, v := range verdicts {
		if v.severity() > worst.severity() {
			worst = v
		}
	}
	return worst
}

// Strict is the verdict where nothing is permitted: allowed becomes violated.
func (v Verdict) Strict() Verdict {
	if v == Allowed {
		return Violated
	}
	return v
}

// Passes reports whether nothing is wrong that was not permitted, and something
// was looked at: holds or allowed.
func (v Verdict) Passes() bool { return v == Holds || v == Allowed }
