package tap

import (
	"fmt"
	"net"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// namesBrokers reports whether the answer to a request names brokers.
func namesBrokers(req kmsg.Request) bool {
	switch req.(type) {
	case *kmsg.MetadataRequest, *kmsg.FindCoordinatorRequest, *kmsg.DescribeClusterRequest:
		return true
	case *kmsg.ProduceRequest:
		return req.GetVersion() >= 10 // KIP-951
	case *kmsg.FetchRequest:
		return req.GetVersion() >= 16
	case *kmsg.ShareFetchRequest, *kmsg.ShareAcknowledgeRequest:
		return true
	}
	return false
}

// rewrite puts the proxy's addresses in place of the brokers'. It reports whether
// there were any.
func (t *Tap) rewrite(resp kmsg.Response) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	any := false
	put := func(host *string, port *int32) {
		if *host == "" || *port < 0 {
			return // no broker
		}
		any = true
		broker := net.JoinHostPort(*host, strconv.Itoa(int(*port)))
		f, err := t.front(broker)
		if err != nil {
			t.notice(fmt.Sprintf("listening in front of %s: %v: its clients go to it past the proxy", broker, err))
			return
		}
		*host, *port = f.host, f.port
	}
	switch resp := resp.(type) {
	case *kmsg.MetadataResponse:
		for i := range resp.Brokers {
			put(&resp.Brokers[i].Host, &resp.Brokers[i].Port)
		}
	case *kmsg.FindCoordinatorResponse:
		put(&resp.Host, &resp.Port)
		for i := range resp.Coordinators {
			put(&resp.Coordinators[i].Host, &resp.Coordinators[i].Port)
		}
	case *kmsg.DescribeClusterResponse:
		for i := range resp.Brokers {
			put(&resp.Brokers[i].Host, &resp.Brokers[i].Port)
		}
	case *kmsg.ProduceResponse:
		for i := range resp.Brokers {
			put(&resp.Brokers[i].Host, &resp.Brokers[i].Port)
		}
	case *kmsg.FetchResponse:
		for i := range resp.Brokers {
			put(&resp.Brokers[i].Host, &resp.Brokers[i].Port)
		}
	case *kmsg.ShareFetchResponse:
		for i := range resp.NodeEndpoints {
			put(&resp.NodeEndpoints[i].Host, &resp.NodeEndpoints[i].Port)
		}
	case *kmsg.ShareAcknowledgeResponse:
		for i := range resp.NodeEndpoints {
			put(&resp.NodeEndpoints[i].Host, &resp.NodeEndpoints[i].Port)
		}
	}
	return any
}
