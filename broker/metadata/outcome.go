package metadata

// Brokers and Partitions never change, so images may share them. The images of
// one process mostly can: its nodes fold the same log, and if they apply the
// very same records (see raft.Decoder) they need one Partition between them,
// not one each. No image depends on it: what is shared is exactly what it would
// have made itself.

// outcome is what a record made of something, remembered by the record for the
// next image that applies it. It is no part of what the record says.
type outcome[T any] struct{ from, result *T }

// of is what the record makes of from; make is asked unless that is known.
func (o *outcome[T]) of(from *T, make func() *T) *T {
	if o.result == nil || o.from != from {
		o.from, o.result = from, make()
	}
	return o.result
}
