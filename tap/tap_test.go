package tap

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"io"
	"math/big"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/record"
	"github.com/ktrial/ktrial/broker/wire"
	"github.com/ktrial/ktrial/checkers"
)

// scripted is a broker that answers what a test says, with a frame.
func scripted(t *testing.T, tlsOf *tls.Config, answer func(frame []byte) []byte) (addr string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if tlsOf != nil {
				conn = tls.Server(conn, tlsOf)
			}
			go func() {
				defer conn.Close()
				in := bufio.NewReader(conn)
				for {
					frame, err := nextFrame(in)
					if err != nil {
						return
					}
					if _, err := conn.Write(withSize(answer(frame))); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

func nextFrame(in io.Reader) ([]byte, error) {
	var size [4]byte
	if _, err := io.ReadFull(in, size[:]); err != nil {
		return nil, err
	}
	frame := make([]byte, binary.BigEndian.Uint32(size[:]))
	_, err := io.ReadFull(in, frame)
	return frame, err
}

func withSize(frame []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(frame))), frame...)
}

// answering answers requests that are understood.
func answering(t *testing.T, answer func(kmsg.Request) kmsg.Response) func([]byte) []byte {
	return func(frame []byte) []byte {
		h, req, err := wire.ReadRequest(frame)
		if !assert.NoError(t, err) {
			return nil
		}
		resp := answer(req)
		resp.SetVersion(req.GetVersion())
		return wire.AppendResponse(nil, resp, h.CorrelationID)
	}
}

// asker is a client with one connection.
type asker struct {
	t    *testing.T
	conn net.Conn
	next int32
}

func ask(t *testing.T, addr string, tlsOf *tls.Config) *asker {
	var conn net.Conn
	var err error
	if tlsOf != nil {
		conn, err = tls.Dial("tcp", addr, tlsOf)
	} else {
		conn, err = net.Dial("tcp", addr)
	}
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return &asker{t: t, conn: conn}
}

// raw sends a frame, and returns the one that answers it.
func (a *asker) raw(frame []byte) []byte {
	_, err := a.conn.Write(withSize(frame))
	require.NoError(a.t, err)
	require.NoError(a.t, a.conn.SetReadDeadline(time.Now().Add(20*time.Second)))
	got, err := nextFrame(a.conn)
	require.NoError(a.t, err)
	return got
}

func (a *asker) frame(req kmsg.Request) []byte {
	a.next++
	return kmsg.NewRequestFormatter(kmsg.FormatterClientID("c")).AppendRequest(nil, req, a.next)[4:]
}

func (a *asker) ask(req kmsg.Request) kmsg.Response {
	resp, err := wire.ReadResponse(req, a.raw(a.frame(req)))
	require.NoError(a.t, err)
	return resp
}

func start(t *testing.T, cfg Config) *Tap {
	cfg.Listen = "127.0.0.1:0"
	p, err := Start(cfg)
	require.NoError(t, err)
	t.Cleanup(p.Stop)
	return p
}

// named is an answer that names brokers, and where it has the port of the first.
type named struct {
	req  kmsg.Request
	resp kmsg.Response
	port func(kmsg.Response) *int32
}

func namings() []named {
	metadata := kmsg.NewPtrMetadataResponse()
	metadata.Brokers = append(metadata.Brokers, kmsg.MetadataResponseBroker{NodeID: 1, Host: "127.0.0.1", Port: 1})
	metadata.ClusterID = kmsg.StringPtr("cluster")
	coordinator := kmsg.NewPtrFindCoordinatorResponse()
	coordinator.Coordinators = append(coordinator.Coordinators, kmsg.FindCoordinatorResponseCoordinator{Key: "g", NodeID: 1, Host: "127.0.0.1", Port: 1},
		kmsg.FindCoordinatorResponseCoordinator{Key: "h", NodeID: -1, Port: -1, ErrorCode: 15})
	old := kmsg.NewPtrFindCoordinatorResponse()
	old.NodeID, old.Host, old.Port = 1, "127.0.0.1", 1
	cluster := kmsg.NewPtrDescribeClusterResponse()
	cluster.Brokers = append(cluster.Brokers, kmsg.DescribeClusterResponseBroker{NodeID: 1, Host: "127.0.0.1", Port: 1})
	produced := kmsg.NewPtrProduceResponse()
	produced.Brokers = append(produced.Brokers, kmsg.ProduceResponseBroker{NodeID: 1, Host: "127.0.0.1", Port: 1})
	fetched := kmsg.NewPtrFetchResponse()
	fetched.Brokers = append(fetched.Brokers, kmsg.FetchResponseBroker{NodeID: 1, Host: "127.0.0.1", Port: 1})
	produce := kmsg.NewPtrProduceRequest()
	produce.Acks = -1 // else there is no answer
	of := func(req kmsg.Request, version int16) kmsg.Request {
		req.SetVersion(version)
		return req
	}
	return []named{
		{of(kmsg.NewPtrMetadataRequest(), 12), metadata, func(r kmsg.Response) *int32 { return &r.(*kmsg.MetadataResponse).Brokers[0].Port }},
		{of(kmsg.NewPtrMetadataRequest(), 4), metadata, func(r kmsg.Response) *int32 { return &r.(*kmsg.MetadataResponse).Brokers[0].Port }},
		{of(kmsg.NewPtrFindCoordinatorRequest(), 4), coordinator, func(r kmsg.Response) *int32 { return &r.(*kmsg.FindCoordinatorResponse).Coordinators[0].Port }},
		{of(kmsg.NewPtrFindCoordinatorRequest(), 2), old, func(r kmsg.Response) *int32 { return &r.(*kmsg.FindCoordinatorResponse).Port }},
		{of(kmsg.NewPtrDescribeClusterRequest(), 0), cluster, func(r kmsg.Response) *int32 { return &r.(*kmsg.DescribeClusterResponse).Brokers[0].Port }},
		{of(produce, 11), produced, func(r kmsg.Response) *int32 { return &r.(*kmsg.ProduceResponse).Brokers[0].Port }},
		{of(kmsg.NewPtrFetchRequest(), 16), fetched, func(r kmsg.Response) *int32 { return &r.(*kmsg.FetchResponse).Brokers[0].Port }},
	}
}

// Wherever brokers are named the tap's address stands instead, and nothing else is changed.
func TestTap_ChangesAddressesAndNothingElse(t *testing.T) {
	for _, x := range namings() {
		what := kmsg.NameForKey(x.req.Key()) + " v" + strconv.Itoa(int(x.req.GetVersion()))
		sent := make(chan []byte, 1)
		addr := scripted(t, nil, func(frame []byte) []byte {
			h, req, err := wire.ReadRequest(frame)
			assert.NoError(t, err, what)
			x.resp.SetVersion(req.GetVersion())
			out := wire.AppendResponse(nil, x.resp, h.CorrelationID)
			sent <- bytes.Clone(out)
			return out
		})
		_, port, err := net.SplitHostPort(addr)
		require.NoError(t, err)
		n, err := strconv.Atoi(port)
		require.NoError(t, err)
		*x.port(x.resp) = int32(n)
		p := start(t, Config{Upstream: addr})
		a := ask(t, p.Addr(), nil)
		got := a.raw(a.frame(x.req))
		said := <-sent
		resp, err := wire.ReadResponse(x.req, bytes.Clone(got))
		require.NoError(t, err, what)
		_, front, err := net.SplitHostPort(p.Addr())
		require.NoError(t, err)
		assert.Equal(t, front, strconv.Itoa(int(*x.port(resp))), what)
		*x.port(resp) = int32(n)
		assert.Equal(t, said, wire.AppendResponse(nil, resp, a.next), what)
	}
}

// What names no broker, and what is no request that is known, passes as it is.
func TestTap_PassesOnWhatItDoesNotUnderstand(t *testing.T) {
	echo := scripted(t, nil, func(frame []byte) []byte { return append(bytes.Clone(frame[4:8]), "an answer of the future"...) })
	p := start(t, Config{Upstream: echo})
	a := ask(t, p.Addr(), nil)
	frame := append([]byte{0x7f, 0, 0, 1, 0, 0, 0, 9}, "a request of the future"...)
	assert.Equal(t, "\x00\x00\x00\x09an answer of the future", string(a.raw(frame)))
	versions := kmsg.NewPtrApiVersionsRequest()
	versions.Version = 3
	asked := a.frame(versions)
	assert.Equal(t, append(bytes.Clone(asked[4:8]), "an answer of the future"...), a.raw(asked))
	p.Stop()
	assert.Positive(t, p.Judge(false, checkers.Expectations{}).Counts.Unread)
}

// Clients speak TLS with the tap, and the tap with the brokers.
func TestTap_TLSIsTerminatedAndSpokenUpward(t *testing.T) {
	pair, roots := certificate(t)
	server, client := &tls.Config{Certificates: []tls.Certificate{pair}}, &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}
	for _, x := range []struct {
		about             string
		terminate, upward bool
	}{{"with clients", true, false}, {"with brokers", false, true}, {"with both", true, true}} {
		var brokers, clients *tls.Config
		cfg := Config{}
		if x.upward {
			brokers, cfg.Upward = server, client
		}
		if x.terminate {
			clients, cfg.Terminate = client, server
		}
		cfg.Upstream = scripted(t, brokers, answering(t, func(kmsg.Request) kmsg.Response { return kmsg.NewPtrHeartbeatResponse() }))
		p := start(t, cfg)
		req := kmsg.NewPtrHeartbeatRequest()
		req.Version = 4
		a := ask(t, p.Addr(), clients)
		assert.Zero(t, a.ask(req).(*kmsg.HeartbeatResponse).ErrorCode, x.about)
		assert.EqualValues(t, 1, p.Judge(false, checkers.Expectations{}).Counts.Requests, x.about)
	}
}

// certificate is one for this machine, and what trusts it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	parsed, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

// A coordinator that was replaced and does not know it answers the offset of before, as
// Kafka's does. A tap sees no faults: that there was one has to be said.
func TestTap_ACoordinatorThatWasReplacedIsExcusedWhereItIsSaid(t *testing.T) {
	log := batchOf(record.Options{Idempotent: true, ProducerID: 7}, "a", "b")
	answers := func(req kmsg.Request) kmsg.Response {
		switch req.(type) {
		case *kmsg.ProduceRequest:
			resp := kmsg.NewPtrProduceResponse()
			resp.Topics = []kmsg.ProduceResponseTopic{{Topic: "orders", Partitions: []kmsg.ProduceResponseTopicPartition{kmsg.NewProduceResponseTopicPartition()}}}
			return resp
		case *kmsg.FetchRequest:
			resp := kmsg.NewPtrFetchResponse()
			p := kmsg.NewFetchResponseTopicPartition()
			p.HighWatermark, p.LastStableOffset, p.RecordBatches = 2, 2, log
			resp.Topics = []kmsg.FetchResponseTopic{{Topic: "orders", Partitions: []kmsg.FetchResponseTopicPartition{p}}}
			return resp
		case *kmsg.OffsetCommitRequest:
			resp := kmsg.NewPtrOffsetCommitResponse()
			resp.Topics = []kmsg.OffsetCommitResponseTopic{{Topic: "orders", Partitions: []kmsg.OffsetCommitResponseTopicPartition{{}}}}
			return resp
		}
		resp := kmsg.NewPtrOffsetFetchResponse() // of a coordinator that did not take the second commit
		p := kmsg.NewOffsetFetchResponseGroupTopicPartition()
		p.Offset = 1
		resp.Groups = []kmsg.OffsetFetchResponseGroup{{Group: "g", Topics: []kmsg.OffsetFetchResponseGroupTopic{{Topic: "orders", Partitions: []kmsg.OffsetFetchResponseGroupTopicPartition{p}}}}}
		return resp
	}
	for config, want := range map[string]checkers.Verdict{"": checkers.Violated, "replaced-coordinators=0": checkers.Violated, "replaced-coordinators=1": checkers.Allowed} {
		p := start(t, Config{Upstream: scripted(t, nil, answering(t, answers))})
		a := ask(t, p.Addr(), nil)
		produce := kmsg.NewPtrProduceRequest()
		produce.Version, produce.Acks = 9, -1
		produce.Topics = []kmsg.ProduceRequestTopic{{Topic: "orders", Partitions: []kmsg.ProduceRequestTopicPartition{{Records: log}}}}
		a.ask(produce)
		fetch := kmsg.NewPtrFetchRequest()
		fetch.Version, fetch.IsolationLevel = 12, 1
		fetch.Topics = []kmsg.FetchRequestTopic{{Topic: "orders", Partitions: []kmsg.FetchRequestTopicPartition{kmsg.NewFetchRequestTopicPartition()}}}
		a.ask(fetch)
		for offset := range int64(2) {
			commit := kmsg.NewPtrOffsetCommitRequest()
			commit.Version, commit.Group = 8, "g"
			commit.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: "orders", Partitions: []kmsg.OffsetCommitRequestTopicPartition{{Offset: offset + 1}}}}
			a.ask(commit)
		}
		committed := kmsg.NewPtrOffsetFetchRequest()
		committed.Version = 8
		committed.Groups = []kmsg.OffsetFetchRequestGroup{{Group: "g"}}
		a.ask(committed)
		p.Stop()
		given, err := checkers.ParseConfig(config)
		require.NoError(t, err)
		j := p.Judge(false, given).Judgement
		assert.Equal(t, want, j.Verdict, "%q: %v", config, j)
	}
}

func batchOf(o record.Options, values ...string) []byte {
	b := record.NewBuilder(o)
	for _, v := range values {
		b.Append(1000, nil, []byte(v))
	}
	return b.Build()
}

// A history that is full is judged as far as it goes, and everything passes on.
func TestTap_RecordsNoMoreThanItIsTold(t *testing.T) {
	answers := func(kmsg.Request) kmsg.Response {
		resp := kmsg.NewPtrProduceResponse()
		resp.Topics = []kmsg.ProduceResponseTopic{{Topic: "orders", Partitions: []kmsg.ProduceResponseTopicPartition{kmsg.NewProduceResponseTopicPartition()}}}
		return resp
	}
	p := start(t, Config{Upstream: scripted(t, nil, answering(t, answers)), MostOperations: 10})
	a := ask(t, p.Addr(), nil)
	for range 50 {
		req := kmsg.NewPtrProduceRequest()
		req.Version, req.Acks = 9, -1
		req.Topics = []kmsg.ProduceRequestTopic{{Topic: "orders", Partitions: []kmsg.ProduceRequestTopicPartition{{Records: batchOf(record.Options{}, "a")}}}}
		a.ask(req)
	}
	p.Stop()
	r := p.Judge(false, checkers.Expectations{})
	assert.True(t, r.Full)
	assert.LessOrEqual(t, r.History.Events(), 14)
}
