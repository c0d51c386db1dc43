package why

import (
	"fmt"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/witness"
	"github.com/ktrial/ktrial/ledger"
	"github.com/ktrial/ktrial/reports"
)

// What nodes make of the metadata log: the images that they fold from it, and snapshots.

// image is the state of a node after the metadata log up to an offset, that not included.
type image struct {
	moment
	host string
	node kafka.NodeID
	end  kafka.Offset
	hash uint64
	from origin
}

// origin is how a node came to an image.
type origin uint8

const (
	byApplying origin = iota
	byWriting         // it wrote it down as a snapshot
	byLoading         // it read it from a snapshot
)

// readImage reads an event that tells of an image.
func (q *quorum) readImage(e *ledger.Entry) {
	x := image{moment: q.last, host: e.Host}
	switch e := e.Event.(type) {
	case *witness.Applied:
		x.node, x.end, x.hash = e.Node, e.Offset+1, e.Hash
	case *witness.SnapshotWritten:
		x.node, x.end, x.hash, x.from = e.Of().Node, e.End, e.Hash, byWriting
	case *witness.SnapshotLoaded:
		x.node, x.end, x.hash, x.from = e.Of().Node, e.End, e.Hash, byLoading
	default:
		return
	}
	q.hosts[x.node] = e.Host
	q.images = append(q.images, x)
}

// text says in a story what the node did.
func (x *image) text() string {
	switch x.from {
	case byWriting:
		return fmt.Sprintf("writes a snapshot of the metadata up to %d: image %016x", x.end, x.hash)
	case byLoading:
		return fmt.Sprintf("loads the snapshot of the metadata up to %d: image %016x", x.end, x.hash)
	}
	return fmt.Sprintf("has applied the metadata up to %d: image %016x", x.end, x.hash)
}

// explainImage explains the last image that a node came to: it is of more than is
// committed, or another node has another of the same.
func (q *quorum) explainImage() *reports.Why {
	x := &q.images[len(q.images)-1]
	for i := range q.images[:len(q.images)-1] {
		if y := &q.images[i]; y.end == x.end && y.hash != x.hash {
			return q.twoImages(y, x)
		}
	}
	return q.imageTooEarly(x)
}

// twoImages: two nodes made different things of one log.
func (q *quorum) twoImages(y, x *image) *reports.Why {
	c := &council{quorum: q}
	agreed := q.agreedBefore(y, x)
	c.add(y.moment, y.host, reports.Appended, "%s", y.text())
	because := "Both applied the same records. What a node makes of them must depend on nothing else (KIP-631)."
	if agreed > 0 {
		because = fmt.Sprintf("Up to %d they had the same. The records from there on were applied to different effect: what a node makes of them must depend on nothing else (KIP-631).", agreed)
	}
	for i := range q.images {
		s := &q.images[i]
		if s.from != byLoading || s == x || s == y || s.end <= agreed || s.node != x.node && s.node != y.node || !s.before(x.moment) {
			continue
		}
		c.add(s.moment, s.host, reports.Led, "%s", s.text())
		c.remark(s.moment, s.host, "from a snapshot")
		because = fmt.Sprintf("%s began with the snapshot up to %d, not with the records below it: what is missing in the snapshot, or was not read from it, is missing in all that comes after (KIP-630).", s.host, s.end)
	}
	c.add(x.moment, x.host, reports.Broke, "%s", x.text())
	c.remark(x.moment, x.host, "another image than %s", y.host)
	what := fmt.Sprintf("%s and %s have different images of %s up to offset %d", y.host, x.host, kafka.MetadataPartition, x.end)
	return c.conclude(reports.ImagesDiffer, what, because)
}

// agreedBefore is the last end up to which two nodes had the same image; 0: none is known.
func (q *quorum) agreedBefore(y, x *image) (end kafka.Offset) {
	hashes := map[kafka.Offset]uint64{}
	for _, i := range q.images {
		if i.node == y.node && i.end < x.end {
			hashes[i.end] = i.hash
		}
	}
	for _, i := range q.images {
		if hash, both := hashes[i.end]; both && i.node == x.node && hash == i.hash {
			end = max(end, i.end)
		}
	}
	return end
}

// imageTooEarly: what is not committed may be replaced by other records yet.
func (q *quorum) imageTooEarly(x *image) *reports.Why {
	committed := kafka.Offset(0)
	c := &council{quorum: q}
	if h := q.highest(x.moment); h != nil {
		committed = h.end
		c.add(h.moment, h.host, reports.Committed, "commits the metadata up to %d, epoch %d", h.end, h.epoch)
	}
	if x.end <= committed {
		return nil
	}
	c.lived(x.host, moment{}, x.moment)
	c.add(x.moment, x.host, reports.Broke, "%s", x.text())
	c.remark(x.moment, x.host, "%d is committed", committed)
	what := fmt.Sprintf("%s has an image of %s up to offset %d, of which only what lies below %d is committed", x.host, kafka.MetadataPartition, x.end, committed)
	return c.conclude(reports.AppliedUncommitted, what, "A leader that is replaced may still lose what is not committed, and other records come in its place: a node applies, and a snapshot holds, only what lies below the high watermark (KIP-595, KIP-630).")
}
