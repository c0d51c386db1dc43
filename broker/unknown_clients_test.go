package broker_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/raft"
	"github.com/ktrial/ktrial/broker/wire"
	"github.com/ktrial/ktrial/sim/env"
)

// strange fills a request with values that its type allows and its protocol
// does not: names that do not exist, numbers from the edges, lists with the
// same thing twice.
type strange struct {
	addr  string
	luck  *rand.Rand
	names []string
	ids   []kafka.UUID
	bytes [][]byte
	near  int64 // a number to be close to
	few   bool  // lists have one item, as a rule
}

func (s strange) fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; name != "Version" && name != "UnknownTags" {
				s.fill(v.Field(i))
			}
		}
	case reflect.Pointer:
		if s.luck.IntN(3) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			s.fill(v.Elem())
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes(slices.Clone(s.bytes[s.luck.IntN(len(s.bytes))]))
			return
		}
		if s.luck.IntN(8) == 0 {
			return // null
		}
		n := s.luck.IntN(4)
		if s.few && s.luck.IntN(8) > 0 {
			n = 1
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			s.fill(v.Index(i))
		}
	case reflect.Array: // an id
		id := s.ids[s.luck.IntN(len(s.ids))]
		reflect.Copy(v, reflect.ValueOf(id))
	case reflect.String:
		v.SetString(s.names[s.luck.IntN(len(s.names))])
	case reflect.Bool:
		v.SetBool(s.luck.IntN(2) == 0)
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(s.number(v.Type().Bits()))
	case reflect.Uint16, reflect.Uint32:
		v.SetUint(uint64(s.number(v.Type().Bits()-1)) & 0x7fff)
	case reflect.Float64:
		v.SetFloat(s.luck.NormFloat64())
	}
}

func (s strange) number(bits int) int64 {
	switch s.luck.IntN(9) {
	case 0:
		return -1 << (bits - 1)
	case 1:
		return 1<<(bits-1) - 1
	case 2:
		return -1 - s.luck.Int64N(3)
	case 3:
		return s.luck.Int64() >> (64 - bits)
	case 4:
		return 0
	}
	if s.luck.IntN(3) == 0 {
		return s.near + s.luck.Int64N(5) - 1
	}
	return s.luck.Int64N(5)
}

// Whatever an unknown client asks for, a broker answers, and lives on.
func TestUnknownClientsAreAnswered(t *testing.T) {
	seeds := 4
	if *long {
		seeds = 400
	}
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { unknownClients(t, seed) })
	}
}

func unknownClients(t *testing.T, seed uint64) {
	c := combined(t, seed, 1)
	c.client(func(u *user) {
		u.running(1)
		s := strange{
			luck:  c.w.Rand("unknown clients"),
			addr:  fmt.Sprintf("%s:%d", c.HostOf(1), clientPort),
			names: []string{"orders", "orders", "orders", "unknown", "", ".", kafka.MetadataTopic, "a/b", "1", "-1", "min.insync.replicas", "\xff\xfe", "metadata.version"},
			ids:   []kafka.UUID{{}, {}, {15: 1}, {1, 2, 3}},
			bytes: [][]byte{nil, {}, {1, 2, 3}, make([]byte, 100)},
		}
		for i := range 1500 {
			if orders := c.node(1).Image().Topic("orders"); orders != nil {
				s.ids[0] = orders.ID
			} else if i%50 == 0 { // one of them has deleted it
				s.createOrders(u)
			}
			s.ask(u, s.choose(u))
		}
		u.createTopic(1, "stocks", 1, 1)
		u.publish(1, "stocks", 0, "one")
	})
}

// The same for the listener of the controllers, though a client that knows the
// cluster may do harm there: members of a quorum believe each other. No node
// dies of what the client claims, and when it is gone there is a leader again.
func TestUnknownMembersOfTheQuorumAreAnswered(t *testing.T) {
	seeds := 4
	if *long {
		seeds = 400
	}
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) { unknownMembers(t, seed) })
	}
}

func unknownMembers(t *testing.T, seed uint64) {
	c := combined(t, seed, 3)
	c.client(func(u *user) {
		u.running(1, 2, 3)
		u.createTopic(1, "orders", 2, 2)
		s := strange{
			luck:  c.w.Rand("unknown clients"),
			names: []string{kafka.MetadataTopic, kafka.MetadataTopic, kafka.MetadataTopic, kafka.MetadataTopic, "trial", "trial", "", "orders", "unknown", "1", "\xff\xfe", "PLAINTEXT"},
			ids:   []kafka.UUID{raft.MetadataTopicID, raft.MetadataTopicID, {}, {1, 2, 3}},
			bytes: [][]byte{nil, {}, {1, 2, 3}, make([]byte, 100)},
			few:   true,
		}
		for range 1500 {
			s.addr = fmt.Sprintf("%s:%d", c.HostOf(1+kafka.NodeID(s.luck.IntN(3))), controllerPort)
			_, epoch := c.node(1).Raft.Leader()
			s.near = int64(epoch)
			s.ask(u, s.choose(u))
		}
		for _, s := range c.Servers {
			require.NoError(t, s.Host.ExitError(), "node %d", s.ID())
		}
		u.eventually(2*time.Minute, "there is a controller again", func() bool {
			req := kmsg.NewPtrCreateTopicsRequest()
			topic := kmsg.NewCreateTopicsRequestTopic()
			topic.Topic, topic.NumPartitions, topic.ReplicationFactor = "stocks", 1, 1
			req.Topics, req.TimeoutMillis = append(req.Topics, topic), 1000
			resp, err := u.ask(1, req)
			return err == nil && resp.(*kmsg.CreateTopicsResponse).Topics[0].ErrorCode == 0
		})
	})
}

// createOrders makes the topic, unless an unknown client is just doing it.
func (s strange) createOrders(u *user) {
	req := kmsg.NewPtrCreateTopicsRequest()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = "orders", 2, 1
	req.Topics = append(req.Topics, topic)
	_, err := u.ask(1, req)
	require.NoError(u.t, err)
}

// choose takes one of the requests that are served.
func (s strange) choose(u *user) kmsg.Request {
	which := wire.Latest(kmsg.NewPtrApiVersionsRequest())
	which.ClientSoftwareName, which.ClientSoftwareVersion = "unknown", "1"
	resp, err := s.dial(u).Call(which, time.Second)
	require.NoError(u.t, err)
	keys := resp.(*kmsg.ApiVersionsResponse).ApiKeys
	for {
		key := keys[s.luck.IntN(len(keys))]
		if key.ApiKey == int16(kmsg.UnregisterBroker) {
			continue // it does what it says
		}
		req := kmsg.RequestForKey(key.ApiKey)
		s.fill(reflect.ValueOf(req).Elem())
		req.SetVersion(key.MinVersion + int16(s.luck.IntN(int(key.MaxVersion-key.MinVersion)+1)))
		if produce, ok := req.(*kmsg.ProduceRequest); ok && produce.Acks == 0 {
			produce.Acks = 1 // without an answer, an error closes the connection
		}
		return req
	}
}

// ask expects an answer, be it an error; or to wait, for it may have asked for
// that. It closes its connection then.
func (s strange) ask(u *user, req kmsg.Request) {
	_, err := s.dial(u).Call(req, 50*time.Millisecond)
	if err != nil {
		require.ErrorIs(u.t, err, env.ErrTimeout, "%s v%d: %+v", kmsg.NameForKey(req.Key()), req.GetVersion(), req)
	}
}

func (s strange) dial(u *user) *wire.Conn {
	conn := u.conns[s.addr]
	if conn == nil || conn.Err() != nil {
		var err error
		conn, err = wire.Dial(u.h, s.addr, "unknown", time.Second)
		require.NoError(u.t, err)
		u.conns[s.addr] = conn
	}
	return conn
}
