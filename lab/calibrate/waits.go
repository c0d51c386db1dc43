package calibrate

// Names of waits, by which a result is read.
const (
	WaitRoundTrip = loadAsk
	WaitAppend    = loadAppend
	WaitAppendAll = loadAll
	WaitDelivery  = loadDeliver
)
