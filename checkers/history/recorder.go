package history

// Recorder writes a history while it happens. It is for one thread.
type Recorder struct {
	// Watch, if set, sees every event as it is recorded.
	Watch func(*Event)
	h     *History
}

// NewRecorder starts an empty history.
func NewRecorder() *Recorder { return &Recorder{h: New()} }

// Invoke records that a client begins an operation.
func (r *Recorder) Invoke(e Event) {
	e.Type = Invoke
	r.Add(&e)
}

// Complete records how the operation of e.Process ended: e.Type is OK, Failed
// or Unknown, and e.Mops carries what was learned.
func (r *Recorder) Complete(e Event) { r.Add(&e) }

// Note records what befell the cluster: not a client's doing.
func (r *Recorder) Note(e Event) {
	e.Process = NoProcess
	r.Add(&e)
}

// Add records any event. The event and its slices are the caller's again
// when it returns.
func (r *Recorder) Add(e *Event) {
	r.h.Add(e)
	if r.Watch != nil {
		r.Watch(e)
	}
}

// History is what was recorded so far. Operations still open count as unknown.
func (r *Recorder) History() *History { return r.h }
