package wire

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// parseRequest is what the server does with a frame.
func parseRequest(frame []byte) (Header, kmsg.Request, error) {
	h, err := parseFixed(frame)
	if err != nil {
		return h, nil, err
	}
	req := kmsg.RequestForKey(h.Key)
	if req == nil || !Broker.Speaks(h.Key, h.Version) && !Controller.Speaks(h.Key, h.Version) {
		return h, nil, ErrMalformed
	}
	req.SetVersion(h.Version)
	id, body, err := clientID(frame[headerBytes:], req.IsFlexible(), "")
	if err == nil {
		err = checkLengths(req, body)
	}
	if err != nil {
		return h, nil, err
	}
	h.ClientID = id
	return h, req, req.ReadFrom(body)
}

// Every request and response that this stack speaks, in every version, comes
// back as it was sent.
func TestMessages_RoundTripInEveryVersion(t *testing.T) {
	for _, vs := range []Versions{Broker, Controller} {
		for _, r := range vs {
			for v := r.Min; v <= r.Max; v++ {
				req := kmsg.RequestForKey(r.Key)
				req.SetVersion(v)
				frame := appendRequest(nil, req, 7, "me")
				h, got, err := parseRequest(frame[4:])
				require.NoError(t, err, "%s v%d", kmsg.NameForKey(r.Key), v)
				assert.Equal(t, Header{r.Key, v, 7, "me"}, h)
				assert.Equal(t, req.AppendTo(nil), got.AppendTo(nil))

				resp := req.ResponseKind()
				resp.SetVersion(v)
				frame = appendResponse(nil, resp, 7)
				back := req.ResponseKind()
				back.SetVersion(v)
				require.NoError(t, parseResponse(frame[4:], back, 7), "%s v%d", kmsg.NameForKey(r.Key), v)
				assert.ErrorIs(t, parseResponse(frame[4:], back, 8), ErrMalformed, "another correlation id")
			}
		}
	}
}

func TestHeader_NoClientIDIsEmpty(t *testing.T) {
	id, body, err := clientID([]byte{0xff, 0xff, 1, 2}, false, "")
	require.NoError(t, err)
	assert.Equal(t, "", id)
	assert.Equal(t, []byte{1, 2}, body)
}

func TestHeader_TruncatedIsMalformed(t *testing.T) {
	req := Latest(kmsg.NewPtrMetadataRequest())
	frame := appendRequest(nil, req, 1, "client")[4:]
	for cut := range headerBytes + 2 + len("client") + 1 {
		_, _, err := parseRequest(frame[:cut])
		assert.Error(t, err, "cut at %d", cut)
	}
}

// ApiVersions is answered with a header that is not flexible, though its body
// may be (KIP-511).
// Sixteen bytes that claim half a billion tags.
func TestHeader_TagsThatAreNotThereTakeNoTime(t *testing.T) {
	frame := []byte("\x00\x01\x00\x12\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\x01\x00")
	began := time.Now()
	_, _, err := parseRequest(frame)
	assert.ErrorIs(t, err, ErrMalformed)
	resp := kmsg.NewPtrFetchResponse()
	resp.Version = 18
	assert.ErrorIs(t, parseResponse([]byte("\x00\x00\x00\x01\xff\xff\xff\xff\x01"), resp, 1), ErrMalformed)
	assert.Less(t, time.Since(began), time.Second)
}

func TestHeader_OfAnApiVersionsResponseIsNeverFlexible(t *testing.T) {
	resp := kmsg.NewPtrApiVersionsResponse()
	resp.Version = 4
	assert.Equal(t, []byte{0, 0, 0, 9}, appendResponse(nil, resp, 9)[4:8])
	assert.Equal(t, resp.AppendTo(nil), appendResponse(nil, resp, 9)[8:])
}

func TestVersions_AreKafkas(t *testing.T) {
	newer := map[int16]bool{8: true, 9: true, 27: true, 28: true, 42: true} // OffsetCommit, OffsetFetch, WriteTxnMarkers, TxnOffsetCommit, DeleteGroups
	for _, r := range Broker {
		release := kversion.V4_1_0()
		if newer[r.Key] {
			release = kversion.V4_4_0()
		}
		most, ok := release.LookupMaxKeyVersion(r.Key)
		require.True(t, ok, kmsg.NameForKey(r.Key))
		assert.Equal(t, most, r.Max, kmsg.NameForKey(r.Key))
	}
	for _, vs := range []Versions{Broker, Controller} {
		for i, r := range vs {
			assert.LessOrEqual(t, r.Min, r.Max)
			assert.LessOrEqual(t, r.Max, kmsg.RequestForKey(r.Key).MaxVersion())
			if i > 0 {
				assert.Less(t, vs[i-1].Key, r.Key, "sorted by key")
			}
			found, ok := vs.Lookup(r.Key)
			assert.True(t, ok)
			assert.Equal(t, r, found)
		}
		_, ok := vs.Lookup(999)
		assert.False(t, ok)
	}
	assert.EqualValues(t, 0, Broker[0].Min, "produce from 0: KAFKA-18659")
}

func TestVersions_PickTakesTheNewestOfBoth(t *testing.T) {
	old := kmsg.NewPtrApiVersionsResponse()
	old.ApiKeys = Versions{{3, 0, 7}, {1, 0, 3}, {0, 0, 99}}.ApiKeys()
	peer := FromResponse(old)
	assert.Equal(t, Versions{{0, 0, 99}, {1, 0, 3}, {3, 0, 7}}, peer)

	metadata := kmsg.NewPtrMetadataRequest()
	require.NoError(t, peer.Pick(metadata))
	assert.EqualValues(t, 7, metadata.Version)

	produce := kmsg.NewPtrProduceRequest()
	require.NoError(t, peer.Pick(produce))
	assert.EqualValues(t, 13, produce.Version)

	assert.Equal(t, kerr.UnsupportedVersion, peer.Pick(kmsg.NewPtrFetchRequest()), "no version in common")
	assert.Equal(t, kerr.UnsupportedVersion, peer.Pick(kmsg.NewPtrListOffsetsRequest()), "not spoken at all")
}

// FuzzRequest: no bytes of a peer bring a node down, and what parses comes out
// the same when it is written and parsed again.
func FuzzRequest(f *testing.F) {
	for _, r := range append(append(Versions{}, Broker...), Controller...) {
		for _, v := range []int16{r.Min, r.Max} {
			req := kmsg.RequestForKey(r.Key)
			req.SetVersion(v)
			f.Add(appendRequest(nil, req, 1, "fuzz")[4:])
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		h, req, err := parseRequest(data)
		if err != nil {
			return
		}
		again := appendRequest(nil, req, h.CorrelationID, h.ClientID)[4:]
		h2, req2, err := parseRequest(again)
		require.NoError(t, err)
		assert.Equal(t, h, h2)
		assert.Equal(t, req.AppendTo(nil), req2.AppendTo(nil))
	})
}

// FuzzResponse is the same for the other direction.
func FuzzResponse(f *testing.F) {
	for _, r := range Broker {
		resp := kmsg.ResponseForKey(r.Key)
		resp.SetVersion(r.Max)
		f.Add(r.Key, r.Max, appendResponse(nil, resp, 1)[4:])
	}
	f.Fuzz(func(t *testing.T, key, version int16, data []byte) {
		resp := kmsg.ResponseForKey(key)
		if resp == nil || version < 0 || version > resp.MaxVersion() {
			return
		}
		resp.SetVersion(version)
		if parseResponse(data, resp, 1) != nil {
			return
		}
		again := kmsg.ResponseForKey(key)
		again.SetVersion(version)
		require.NoError(t, parseResponse(appendResponse(nil, resp, 1)[4:], again, 1))
	})
}
