package sessions

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"reflect"
	"regexp"
	"slices"
	"sort"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

var zero [16]byte

// answer is an answer laid flat: values by the path of their field. What may
// differ between two honest clusters (ids, addresses, the time, the names of
// this session's topics) is replaced by what it stands for.
type answer map[string]string

type flattener struct {
	side *side
	api  string
	out  answer
}

func flatten(s *side, req kmsg.Request, o outcome) answer {
	f := &flattener{s, kmsg.NameForKey(req.Key()), answer{}}
	if o.fault != "" {
		f.out["!fault"] = o.fault
	}
	if r, ok := o.resp.(*kmsg.FetchResponse); ok {
		cutAborted(r)
	}
	if o.resp != nil {
		f.value("", "", reflect.ValueOf(o.resp).Elem())
	}
	return f.out
}

// cutAborted leaves out the aborted transactions that begin behind the records of an answer:
// Kafka names those up to where the next entry of the offset index points, or the segment
// ends, and clients need none of them.
func cutAborted(r *kmsg.FetchResponse) {
	for i := range r.Topics {
		for j := range r.Topics[i].Partitions {
			p := &r.Topics[i].Partitions[j]
			end := endOf(p.RecordBatches)
			p.AbortedTransactions = slices.DeleteFunc(p.AbortedTransactions, func(a kmsg.FetchResponseTopicPartitionAbortedTransaction) bool { return a.FirstOffset >= end })
		}
	}
}

// endOf is the offset behind the last whole batch, -1 if there is none.
func endOf(batches []byte) int64 {
	end := int64(-1)
	eachBatch(batches, func(one []byte) {
		end = int64(binary.BigEndian.Uint64(one)) + int64(binary.BigEndian.Uint32(one[23:])) + 1
	})
	return end
}

// eachBatch calls fn with each whole batch, and returns what lies behind them.
func eachBatch(batches []byte, fn func(one []byte)) (tail []byte) {
	for len(batches) >= 61 {
		size := int(binary.BigEndian.Uint32(batches[8:])) + 12
		if size > len(batches) || size < 61 {
			break
		}
		fn(batches[:size])
		batches = batches[size:]
	}
	return batches
}

func (f *flattener) value(path, name string, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			f.put(path, name, "null")
			return
		}
		f.value(path, name, v.Elem())
	case reflect.Struct:
		if v.Type() == reflect.TypeOf(kmsg.Tags{}) {
			t := v.Interface().(kmsg.Tags)
			if t.Len() > 0 {
				f.put(path, name, fmt.Sprint(t.Len(), " tags"))
			}
			return
		}
		for i := range v.NumField() {
			n := v.Type().Field(i).Name
			if n == "Version" {
				continue
			}
			f.value(path+"."+n, n, v.Field(i))
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			f.bytes(path, name, v)
			return
		}
		if v.IsNil() {
			f.put(path, name, "nil[]")
			return
		}
		f.slice(path, name, v)
	case reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 && v.Len() == 16 {
			var id [16]byte
			reflect.Copy(reflect.ValueOf(&id).Elem(), v)
			f.put(path, name, f.id(name, id))
			return
		}
		f.put(path, name, fmt.Sprint(v.Interface()))
	case reflect.Int64, reflect.Int32, reflect.Int16, reflect.Int8:
		f.put(path, name, f.number(path, name, v.Int()))
	default:
		f.put(path, name, fmt.Sprint(v.Interface()))
	}
}

func (f *flattener) put(path, name, s string) {
	switch name {
	case "Host", "Port", "Rack":
		return
	case "ClusterID":
		if s != "null" && s != "" {
			s = "cluster"
		}
	case "Dir":
		s = "dir"
	case "ClientHost":
		if s == "/"+f.side.net.Name() {
			s = "/127.0.0.1" // where Kafka was asked
		}
	}
	if strings.Contains(name, "DirectoryID") && s != "id:zero" {
		s = "directory"
	}
	s = f.side.anonymous(name, s)
	if name == "ErrorMessage" {
		s = longNumber.ReplaceAllString(s, "#")
		s = controllerID.ReplaceAllString(s, "controller N")
	}
	short := func(s string) string { return strings.ReplaceAll(s, f.side.prefix, "~") }
	f.out[strings.ReplaceAll(short(path), "\n", `\n`)] = short(s)
}

var (
	longNumber   = regexp.MustCompile(`-?\d{13,}`) // a time, or where one ends
	controllerID = regexp.MustCompile(`controller \d+`)
)

func (f *flattener) id(name string, id [16]byte) string {
	if id == zero {
		return "id:zero"
	}
	if n, ok := f.side.names[id]; ok {
		return "id:" + n
	}
	if strings.Contains(name, "Directory") || strings.Contains(name, "Incarnation") {
		return "uuid"
	}
	return "id:other"
}

func (f *flattener) number(path, name string, n int64) string {
	switch name {
	case "NodeID":
		if f.api == "FindCoordinator" && n > 0 {
			return "broker"
		}
	case "ControllerID":
		if n >= 1 && n <= 3 || n > 1000 {
			return "controller"
		}
	case "ProducerID":
		return f.side.pid(n)
	case "SessionID":
		if n != 0 {
			return "session"
		}
	case "TotalBytes", "UsableBytes":
		if n > 0 {
			return "bytes"
		}
	case "BrokerEpoch", "LastFetchTimestamp", "LastCaughtUpTimestamp", "FinalizedFeaturesEpoch":
		if n > 0 {
			return "some"
		}
	}
	if f.api == "DescribeQuorum" && (name == "LogEndOffset" || name == "HighWatermark" || name == "LeaderEpoch" || name == "LeaderID") && n > 0 {
		return "some"
	}
	if n > 1_760_000_000_000 && n < 1_900_000_000_000 {
		return "now"
	}
	if strings.HasSuffix(path, "ErrorCode") {
		return errName(int16(n))
	}
	return fmt.Sprint(n)
}

// key names an element of a slice by what identifies it.
func (f *flattener) key(e reflect.Value) string {
	for e.Kind() == reflect.Pointer {
		e = e.Elem()
	}
	if e.Kind() != reflect.Struct {
		return ""
	}
	if v := e.FieldByName("Key"); v.IsValid() {
		return cutTo(v.String(), 60)
	}
	// Kafka answers markers in the order of a hash map of producer ids, which are not the same on both sides.
	if v := e.FieldByName("ProducerID"); v.IsValid() && (f.api == "DescribeProducers" || f.api == "WriteTxnMarkers") {
		return f.side.pid(v.Int())
	}
	if v := e.FieldByName("MemberID"); v.IsValid() {
		return cutTo(f.side.anonymous("MemberID", v.String()), 60)
	}
	var parts []string
	for _, n := range []string{"ApiKey", "Group", "TransactionalID", "Topic", "TopicID", "Name", "Partition", "NodeID", "BrokerID", "ReplicaID", "ResourceType", "ResourceName", "Feature", "PartitionIndex"} {
		v := e.FieldByName(n)
		if !v.IsValid() || v.Kind() == reflect.Slice {
			continue
		}
		for v.Kind() == reflect.Pointer && !v.IsNil() {
			v = v.Elem()
		}
		if v.Kind() == reflect.Pointer {
			continue
		}
		if v.Kind() == reflect.Array {
			var id [16]byte
			reflect.Copy(reflect.ValueOf(&id).Elem(), v)
			if id != zero {
				parts = append(parts, f.id(n, id))
			}
			continue
		}
		parts = append(parts, fmt.Sprint(v.Interface()))
	}
	return cutTo(strings.Join(parts, " "), 300)
}

func (f *flattener) slice(path, name string, v reflect.Value) {
	if v.Type().Elem().Kind() != reflect.Struct {
		vals := make([]string, v.Len())
		for i := range vals {
			vals[i] = fmt.Sprint(v.Index(i).Interface())
		}
		if name == "ISR" || name == "ISRNodes" || name == "OfflineReplicas" || name == "Partitions" || name == "SubscribedTopics" {
			sort.Strings(vals)
		}
		f.put(path, name, "["+strings.Join(vals, " ")+"]")
		return
	}
	count := 0
	seen := map[string]int{}
	for i := range v.Len() {
		k := f.key(v.Index(i))
		if f.side.strange(name, v.Index(i)) {
			continue
		}
		count++
		if k == "" {
			k = fmt.Sprint("#", i)
		}
		seen[k]++
		if seen[k] > 1 {
			k += fmt.Sprint(" (", seen[k], ")")
		}
		f.value(path+"["+k+"]", name, v.Index(i))
	}
	if name == "Groups" && count == 0 && v.Len() > 0 {
		f.put(path, name, "nil[]") // as if the others' were not there
		return
	}
	f.put(path+".len", "len", fmt.Sprint(count))
}

func (f *flattener) bytes(path, name string, v reflect.Value) {
	if v.IsNil() {
		f.put(path, name, "null")
		return
	}
	b := v.Bytes()
	if name == "RecordBatches" || name == "Records" {
		f.batches(path, b)
		return
	}
	f.put(path, name, f.side.opaque(b))
}

// batches writes the heads of record batches and a sum of their records.
func (f *flattener) batches(path string, b []byte) {
	n := 0
	tail := eachBatch(b, func(one []byte) {
		at := fmt.Sprintf("%s.batch%d", path, n)
		n++
		var rb kmsg.RecordBatch
		if err := rb.ReadFrom(one); err != nil {
			f.put(at, "", "undecodable")
			return
		}
		sum := "crc ok"
		if crc32.Checksum(one[21:], crc32.MakeTable(crc32.Castagnoli)) != uint32(rb.CRC) {
			sum = "crc BAD"
		}
		f.put(at, "", fmt.Sprintf("base %d epoch %d magic %d attrs %d last %d first %s max %s %s producerEpoch %d seq %d records %d bytes %08x %s",
			rb.FirstOffset, rb.PartitionLeaderEpoch, rb.Magic, rb.Attributes, rb.LastOffsetDelta, f.number("", "", rb.FirstTimestamp), f.number("", "", rb.MaxTimestamp),
			f.side.pid(rb.ProducerID), rb.ProducerEpoch, rb.FirstSequence, rb.NumRecords, crc32.ChecksumIEEE(rb.Records), sum))
	})
	f.put(path+".batches", "", fmt.Sprint(n))
	if len(tail) > 0 {
		f.put(path+".tail", "", "partial batch")
	}
}

// cutTo is the beginning of a text.
func cutTo(s string, n int) string {
	if len(s) > n {
		return s[:n] + "..."
	}
	return s
}
