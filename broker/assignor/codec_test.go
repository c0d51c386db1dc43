package assignor

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func unhex(t *testing.T, text string) []byte {
	data, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	require.NoError(t, err)
	return data
}

var owned01 = parsePartitions("t:0-1")

func TestCodec_KafkasBytes(t *testing.T) {
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"subscription v0": {EncodeSubscription(Subscription{Version: 0, Topics: []string{"u", "t"}, UserData: []byte{7}}),
			"0000 00000002 0001 74 0001 75 00000001 07"},
		"subscription v1": {EncodeSubscription(Subscription{Version: 1, Topics: []string{"t"}, Owned: owned01}),
			"0001 00000001 0001 74 ffffffff 00000001 0001 74 00000002 00000000 00000001"},
		"subscription v2": {EncodeSubscription(Subscription{Version: 2, Topics: []string{"t"}, Generation: 5}),
			"0002 00000001 0001 74 ffffffff 00000000 00000005"},
		"subscription v3": {EncodeSubscription(Subscription{Version: 3, Topics: []string{"t"}, Generation: NoGeneration}),
			"0003 00000001 0001 74 ffffffff 00000000 ffffffff ffff"},
		"assignment v3": {EncodeAssignment(Assignment{Version: 3, Partitions: owned01}),
			"0003 00000001 0001 74 00000002 00000000 00000001 ffffffff"},
		"sticky v1":             {sticky{}.UserData(owned01, 5), "00000001 0001 74 00000002 00000000 00000001 00000005"},
		"sticky, new":           {sticky{}.UserData(nil, NoGeneration), ""},
		"cooperative user data": {cooperativeSticky{}.UserData(owned01, 5), "00000005"},
	} {
		assert.Equal(t, unhex(t, c.want), append([]byte{}, c.data...), name)
	}
}

func TestCodec_Reads(t *testing.T) {
	// A version that is not known yet is read as the last one that is.
	s, err := DecodeSubscription(unhex(t, "0009 00000001 0001 74 ffffffff 00000000 00000005 0002 7230 beef"))
	require.NoError(t, err)
	assert.Equal(t, Subscription{Version: 3, Topics: []string{"t"}, Generation: 5, Rack: "r0"}, s)

	// A member that the leader left out gets no bytes.
	a, err := DecodeAssignment(nil)
	require.NoError(t, err)
	assert.Empty(t, a.Partitions)

	for _, bad := range []string{"", "00", "ffff 00000000", "0003 7fffffff", "0001 00000001 0001 74 ffffffff 0000"} {
		_, err := DecodeSubscription(unhex(t, bad))
		assert.Error(t, err, bad)
	}
	_, err = DecodeAssignment(unhex(t, "0000 7fffffff"))
	assert.Error(t, err)
}

// The sticky assignor's user data before KIP-792 has no generation; what cannot
// be read claims nothing.
func TestCodec_ClaimsOfOldMembers(t *testing.T) {
	v0 := unhex(t, "00000001 0001 74 00000002 00000000 00000001")
	assert.Equal(t, claim{owned01, NoGeneration}, stickyClaim(&Member{UserData: v0}))
	assert.Equal(t, claim{generation: NoGeneration}, stickyClaim(&Member{UserData: v0[:9]}))
	assert.Equal(t, claim{owned01, 4}, cooperativeClaim(&Member{Owned: owned01, Generation: NoGeneration, UserData: unhex(t, "00000004")}))
	assert.Equal(t, claim{owned01, 6}, cooperativeClaim(&Member{Owned: owned01, Generation: 6, UserData: unhex(t, "00000004")}))
}

func TestCodec_RoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Subscription{Version: rapid.Int16Range(0, 3).Draw(t, "version"), Topics: []string{"a", "b"}, Generation: NoGeneration}
		s.UserData = rapid.SliceOfN(rapid.Byte(), 1, 9).Draw(t, "user data")
		if s.Version >= 1 {
			s.Owned = []kafka.TopicPartition{{Topic: "a", Partition: rapid.Int32().Draw(t, "partition")}}
		}
		if s.Version >= 2 {
			s.Generation = rapid.Int32().Draw(t, "generation")
		}
		if s.Version >= 3 {
			s.Rack = rapid.String().Draw(t, "rack")
		}
		back, err := DecodeSubscription(EncodeSubscription(s))
		require.NoError(t, err)
		require.Equal(t, s, back)
	})
}

func FuzzDecodeSubscription(f *testing.F) {
	f.Add(EncodeSubscription(Subscription{Version: 3, Topics: []string{"t"}, Owned: owned01, Rack: "r"}))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := DecodeSubscription(data)
		if err == nil {
			_, err = DecodeSubscription(EncodeSubscription(s))
			require.NoError(t, err)
		}
	})
}
