package history

// Recorder writes a history while it happens. It is for one thread.
type Recorder struct {
	// Watch, if set, sees every operation of a client when it begins and when it
	// ends: see History.Added.
	Watch func(*Op)
	// Told, if set, is called with each event as the client told it, after it
	// was recorded; number counts the events from 0. It must not keep the event.
	Told  func(e *Event, number int64)
	h     *History
	event Event // the one being told
}

// NewRecorder starts an empty history.
func NewRecorder() *Recorder { return &Recorder{h: New()} }

// Invoke records that a client begins an operation.
func (r *Recorder) Invoke(e Event) {
	e.Type = Invoke
	r.record(e)
}

// Complete records how the operation of e.Process ended: e.Type is OK, Failed
// or Unknown, and e.Mops carries what was learned.
func (r *Recorder) Complete(e Event) { r.record(e) }

// Note records what happened to the cluster: not a client's doing.
func (r *Recorder) Note(e Event) {
	e.Process = NoProcess
	r.record(e)
}

// record keeps the event off the heap, where nothing is told of it.
func (r *Recorder) record(e Event) {
	r.h.Add(&e)
	if r.Told != nil {
		r.event = e
		r.report(&r.event)
	}
	r.watch()
}

// Add records any event. The event and its slices are the caller's again
// when it returns.
func (r *Recorder) Add(e *Event) {
	r.h.Add(e)
	if r.Told != nil {
		r.report(e)
	}
	r.watch()
}

func (r *Recorder) report(e *Event) { r.Told(e, int64(r.h.Events())-1) }

func (r *Recorder) watch() {
	if r.Watch == nil {
		return
	}
	if op := r.h.Added(); op != nil {
		r.Watch(op)
	}
}

// History is what was recorded so far. Operations still open count as unknown.
func (r *Recorder) History() *History { return r.h }
