package laws

// Coordinators is the ghost of those that keep their state in an internal topic: they
// compare what they hold with what their log says, and tell both.
type Coordinators struct{ tally }

// NewCoordinators knows of none. name is how messages name a node; nil: its number.
func NewCoordinators(name func(Node) string) *Coordinators {
	return &Coordinators{tally{name: name}}
}

// Compared: a coordinator holds one state of a partition at an offset that is committed, and the log
// below it folds to another, or the same.
func (c *Coordinators) Compared(partition string, node Node, offset int64, holds, log uint64) {
	c.events++
	if holds != log {
		c.subject = partition
		c.fail(CoordinatorFolds, node, "%v holds another state at offset %d than the log says", node, offset)
	}
}
