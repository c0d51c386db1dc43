package metadata

// The hash of an image is the sum of the hashes of its entries, each in the
// form of the record that makes it. So it depends on what the entries are and
// not on how they came to be, and a change costs one entry, not the image:
// every node can show its hash after every batch.

// Hash is a fingerprint of the state, the same for the same state on any node.
func (im *Image) Hash() uint64 { return im.hash }

// hashOf is FNV-1a of the record's encoding, stirred so that sums of similar
// entries do not cancel.
func (im *Image) hashOf(rec Record) uint64 {
	im.scratch = AppendTo(im.scratch[:0], rec)
	h := uint64(14695981039346656037)
	for _, b := range im.scratch {
		h = (h ^ uint64(b)) * 1099511628211
	}
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

// metadataVersion comes first in a log and in a snapshot: a reader must know
// it before it reads on.
const metadataVersion = "metadata.version"

// ToRecords is the shortest list of records that adds up to the image.
func (im *Image) ToRecords() []Record {
	var records []Record
	if i, ok := im.findFeature(metadataVersion); ok {
		records = append(records, &im.features[i])
	}
	for i := range im.features {
		if im.features[i].Name != metadataVersion {
			records = append(records, &im.features[i])
		}
	}
	for _, b := range im.brokers {
		records = append(records, b.record())
	}
	for _, t := range im.topics {
		records = append(records, &TopicRecord{Name: t.Name, TopicID: t.ID})
		for _, p := range t.Partitions {
			records = append(records, p.record())
		}
	}
	for i := range im.configs {
		records = append(records, &im.configs[i])
	}
	if im.producerIDs.NextProducerID > 0 {
		records = append(records, &im.producerIDs)
	}
	for _, k := range im.kept {
		records = append(records, k.rec)
	}
	return records
}
