package calibrate

// Names of waits, by which a result is read.
const (
	WaitRoundTrip = loadAsk
	WaitAppend    = loadAppend
	WaitAppendAll = loadAll
	WaitDelivery  = loadDeliver
)

// PartitionsEach is how many partitions each measured broker leads.
const PartitionsEach = spread
