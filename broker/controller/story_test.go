package controller

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/broker/metadata"
	"github.com/ktrial/ktrial/broker/planted"
	"github.com/ktrial/ktrial/internal/golden"
)

// TestStories plays testdata/*.txt. A line at the margin is a command or a
// comment; indented below it is what it wrote and answered.
func TestStories(t *testing.T) {
	golden.Stories(t, "testdata/*.txt", play)
}

// play answers every command of a story.
func play(_ *testing.T, text string) string {
	var c *cluster
	return golden.Commands(text, func(line golden.Command) (said []string) {
		cmd := command{line}
		if cmd.Name == "cluster" {
			c = cmd.cluster()
		} else if c == nil {
			c = newCluster(nil)
			c.takeFresh()
		}
		answers := cmd.play(c)
		for _, r := range c.takeFresh() {
			said = append(said, "+ "+c.describe(r))
		}
		return append(said, answers...)
	})
}

// command is a line of a story of the controller.
type command struct{ golden.Command }

// cluster [plant] [setting=value]...
func (cmd command) cluster() *cluster {
	var bugs []planted.Bug
	for _, a := range cmd.Args {
		bugs = append(bugs, planted.Bug(a))
	}
	return newCluster(cmd.Opts, bugs...)
}

func (cmd command) play(c *cluster) []string {
	switch cmd.Name {
	case "cluster":
		return nil
	case "register": // register ID [incarnation=N] [previous=EPOCH] [rack=R]
		previous, ok := c.epochs[cmd.node(0)]
		if !ok || cmd.Opts["previous"] == "" {
			previous = kafka.NoEpoch
		} else if cmd.Opts["previous"] != "current" {
			previous = kafka.BrokerEpoch(cmd.int("previous", -1))
		}
		err := c.register(cmd.node(0), cmd.int("incarnation", 1), previous, cmd.Opts["rack"])
		if err != nil {
			return []string{errorName(err)}
		}
		return []string{fmt.Sprintf("epoch %d", c.epochs[cmd.node(0)])}
	case "heartbeat": // heartbeat ID [fence] [shutdown] [at=OFFSET] [epoch=N]
		if cmd.Opts["epoch"] != "" {
			defer func(was kafka.BrokerEpoch) { c.epochs[cmd.node(0)] = was }(c.epochs[cmd.node(0)])
			c.epochs[cmd.node(0)] = kafka.BrokerEpoch(cmd.int("epoch", 0))
		}
		state, err := c.heartbeat(cmd.node(0), kafka.Offset(cmd.int("at", int(c.image.Offset))), cmd.has("fence"), cmd.has("shutdown"))
		if err != nil {
			return []string{errorName(err)}
		}
		return []string{map[brokerState]string{fenced: "fenced", unfenced: "unfenced", shuttingDown: "shutting down", shutDownNow: "shut down now"}[state]}
	case "start": // start ID...: register and unfence
		for i := range cmd.Args {
			c.start(cmd.node(i))
		}
		return nil
	case "tick": // tick MILLISECONDS
		n, _ := strconv.Atoi(cmd.Args[0])
		c.now += time.Duration(n) * time.Millisecond
		return nil
	case "expire":
		return []string{"expired " + nodeName(c.expire())}
	case "failover":
		c.failover()
		return nil
	case "unregister":
		recs, err := c.brain().unregisterBroker(cmd.node(0))
		c.write(recs)
		return []string{errorName(err)}
	case "create-topic":
		return cmd.createTopic(c)
	case "delete-topic":
		req := kmsg.NewPtrDeleteTopicsRequest()
		req.Version = 6
		for _, name := range cmd.Args { // id:NAME is by id
			if name, byID := strings.CutPrefix(name, "id:"); byID {
				req.Topics = append(req.Topics, kmsg.DeleteTopicsRequestTopic{TopicID: c.brain().image.Topic(name).ID})
				continue
			}
			req.Topics = append(req.Topics, kmsg.DeleteTopicsRequestTopic{Topic: &name})
		}
		resp, recs := c.brain().deleteTopics(req)
		c.write(recs)
		return eachAnswer(resp.Topics, func(t kmsg.DeleteTopicsResponseTopic) []string { return answer(t.ErrorCode, t.ErrorMessage) })
	case "create-partitions": // create-partitions TOPIC count=N [assign=1,2/2,3]
		req := kmsg.NewPtrCreatePartitionsRequest()
		x := kmsg.NewCreatePartitionsRequestTopic()
		x.Topic, x.Count = cmd.Args[0], int32(cmd.int("count", 0))
		for _, nodes := range assignments(cmd.Opts["assign"]) {
			x.Assignment = append(x.Assignment, kmsg.CreatePartitionsRequestTopicAssignment{Replicas: nodes})
		}
		req.Topics = append(req.Topics, x)
		if cmd.has("twice") {
			req.Topics = append(req.Topics, x)
		}
		resp, recs := c.brain().createPartitions(req)
		c.write(recs)
		return eachAnswer(resp.Topics, func(t kmsg.CreatePartitionsResponseTopic) []string { return answer(t.ErrorCode, t.ErrorMessage) })
	case "alter-partition":
		return cmd.alterPartition(c)
	case "elect": // elect preferred|unclean TOPIC/N
		req := kmsg.NewPtrElectLeadersRequest()
		req.Version = 2
		req.ElectionType = int8(map[string]int{"preferred": 0, "unclean": 1}[cmd.Args[0]])
		for _, a := range cmd.Args[1:] {
			tp := partitionOf(a)
			req.Topics = append(req.Topics, kmsg.ElectLeadersRequestTopic{Topic: tp.Topic, Partitions: []int32{tp.Partition}})
		}
		resp, recs, err := c.brain().electLeaders(req)
		c.write(recs)
		if err != nil {
			return []string{errorName(err)}
		}
		var out []string
		for _, t := range resp.Topics {
			for _, p := range t.Partitions {
				out = append(out, fmt.Sprintf("%s/%d %s", t.Topic, p.Partition, codeName(p.ErrorCode)))
			}
		}
		return out
	case "balance":
		c.write(c.brain().balance())
		return nil
	case "elect-unclean":
		c.write(c.brain().electUnclean())
		return nil
	case "config":
		return cmd.config(c)
	case "feature": // feature NAME LEVEL [downgrade|unsafe]
		req := kmsg.NewPtrUpdateFeaturesRequest()
		req.Version = 2
		u := kmsg.NewUpdateFeaturesRequestFeatureUpdate()
		level, _ := strconv.Atoi(cmd.Args[1])
		u.Feature, u.MaxVersionLevel, u.UpgradeType = cmd.Args[0], int16(level), upgrade
		if cmd.has("downgrade") {
			u.UpgradeType = safeDowngrade
		}
		if cmd.has("unsafe") {
			u.UpgradeType = unsafeDowngrade
		}
		req.FeatureUpdates = append(req.FeatureUpdates, u)
		recs, err := c.brain().updateFeatures(req)
		c.write(recs)
		return answer(kafka.Code(err), kafka.Message(err))
	case "reassign": // reassign TOPIC/N 1,2,3 | cancel
		req := kmsg.NewPtrAlterPartitionAssignmentsRequest()
		tp := partitionOf(cmd.Args[0])
		x := kmsg.NewAlterPartitionAssignmentsRequestTopicPartition()
		x.Partition = tp.Partition
		if cmd.Args[1] != "cancel" {
			x.Replicas = assignments(cmd.Args[1])[0]
		}
		req.Topics = append(req.Topics, kmsg.AlterPartitionAssignmentsRequestTopic{Topic: tp.Topic, Partitions: []kmsg.AlterPartitionAssignmentsRequestTopicPartition{x}})
		resp, recs := c.brain().alterReassignments(req)
		c.write(recs)
		return answer(resp.Topics[0].Partitions[0].ErrorCode, resp.Topics[0].Partitions[0].ErrorMessage)
	case "list-reassignments":
		var out []string
		for _, t := range c.brain().listReassignments(kmsg.NewPtrListPartitionReassignmentsRequest()).Topics {
			for _, p := range t.Partitions {
				out = append(out, fmt.Sprintf("%s/%d replicas=%v adding=%v removing=%v", t.Topic, p.Partition, p.Replicas, p.AddingReplicas, p.RemovingReplicas))
			}
		}
		return out
	case "producer-ids":
		req := kmsg.NewPtrAllocateProducerIDsRequest()
		req.BrokerID, req.BrokerEpoch = int32(cmd.node(0)), int64(c.epochs[cmd.node(0)])
		start, recs, err := c.brain().allocateProducerIDs(req)
		c.write(recs)
		return []string{fmt.Sprintf("%s from %d", errorName(err), start)}
	case "show":
		return c.show()
	}
	return []string{"unknown command"}
}

// create-topic NAME [partitions=N] [replicas=N] [assign=1,2/2,3] [validate] [config=value]...
func (cmd command) createTopic(c *cluster) []string {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version, req.ValidateOnly = 7, cmd.has("validate")
	x := kmsg.NewCreateTopicsRequestTopic()
	x.Topic = strings.Trim(cmd.Args[0], `"`)
	x.NumPartitions, x.ReplicationFactor = int32(cmd.int("partitions", -1)), int16(cmd.int("replicas", -1))
	for i, nodes := range assignments(cmd.Opts["assign"]) {
		x.ReplicaAssignment = append(x.ReplicaAssignment, kmsg.CreateTopicsRequestTopicReplicaAssignment{Partition: int32(i), Replicas: nodes})
	}
	for name, value := range cmd.Opts {
		if name != "partitions" && name != "replicas" && name != "assign" {
			x.Configs = append(x.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: name, Value: &value})
		}
	}
	req.Topics = append(req.Topics, x)
	if cmd.has("twice") {
		req.Topics = append(req.Topics, x)
	}
	resp, recs := c.brain().createTopics(req)
	c.write(recs)
	return eachAnswer(resp.Topics, func(t kmsg.CreateTopicsResponseTopic) []string { return answer(t.ErrorCode, t.ErrorMessage) })
}

func eachAnswer[T any](topics []T, answer func(T) []string) (out []string) {
	for _, t := range topics {
		out = append(out, answer(t)...)
	}
	return out
}

// alter-partition TOPIC/N isr=1,2 [from=BROKER] [leader-epoch=N]
// [partition-epoch=N] [broker-epoch=ID:EPOCH] [recovering]
func (cmd command) alterPartition(c *cluster) []string {
	tp := partitionOf(cmd.Args[0])
	got, err := c.alter(tp, nodeIDs(assignments(cmd.Opts["isr"])[0]), func(req *kmsg.AlterPartitionRequest) {
		x := &req.Topics[0].Partitions[0]
		if cmd.Opts["from"] != "" {
			req.BrokerID = int32(cmd.int("from", 0))
			req.BrokerEpoch = int64(c.epochs[kafka.NodeID(req.BrokerID)])
		}
		x.LeaderEpoch = int32(cmd.int("leader-epoch", int(x.LeaderEpoch)))
		x.PartitionEpoch = int32(cmd.int("partition-epoch", int(x.PartitionEpoch)))
		if cmd.has("recovering") {
			x.LeaderRecoveryState = 1
		}
		if id, epoch, ok := strings.Cut(cmd.Opts["broker-epoch"], ":"); ok {
			for i := range x.NewEpochISR {
				if strconv.Itoa(int(x.NewEpochISR[i].BrokerID)) == id {
					x.NewEpochISR[i].BrokerEpoch, _ = strconv.ParseInt(epoch, 10, 64)
				}
			}
		}
	})
	if err != nil {
		return []string{errorName(err)}
	}
	return []string{fmt.Sprintf("isr %v leader %d epoch %d/%d", got.ISR, got.LeaderID, got.LeaderEpoch, got.PartitionEpoch)}
}

// config topic|broker NAME [append|subtract|delete] name=value...
// config topic|broker NAME|all [append|subtract|delete|whole] [K=V]...
func (cmd command) config(c *cluster) []string {
	a := alteration{resource: metadata.Resource{Type: metadata.TopicResource, Name: cmd.Args[1]}, whole: cmd.has("whole")}
	if cmd.Args[0] == "broker" {
		a.resource.Type = metadata.BrokerResource
	}
	if a.resource.Name == "all" {
		a.resource.Name = ""
	}
	op := kmsg.IncrementalAlterConfigOpSet
	for word, o := range map[string]kmsg.IncrementalAlterConfigOp{
		"append": kmsg.IncrementalAlterConfigOpAppend, "subtract": kmsg.IncrementalAlterConfigOpSubtract, "delete": kmsg.IncrementalAlterConfigOpDelete,
	} {
		if cmd.has(word) {
			op = o
		}
	}
	for _, name := range slices.Sorted(maps.Keys(cmd.Opts)) {
		value := cmd.Opts[name]
		a.ops = append(a.ops, kmsg.IncrementalAlterConfigsRequestResourceConfig{Name: name, Op: op, Value: &value})
	}
	recs, errs := c.brain().alterConfigs([]alteration{a})
	c.write(recs)
	return answer(kafka.Code(errs[0]), kafka.Message(errs[0]))
}

func (cmd command) node(i int) kafka.NodeID {
	n, err := strconv.Atoi(cmd.Args[i])
	if err != nil {
		panic(err)
	}
	return kafka.NodeID(n)
}

func (cmd command) int(name string, otherwise int) int {
	if cmd.Opts[name] == "" {
		return otherwise
	}
	n, err := strconv.Atoi(cmd.Opts[name])
	if err != nil {
		panic(err)
	}
	return n
}

func (cmd command) has(word string) bool {
	for _, a := range cmd.Args {
		if a == word {
			return true
		}
	}
	return false
}

// assignments reads 1,2,3/2,3,1.
func assignments(s string) [][]int32 {
	if s == "" {
		return nil
	}
	var out [][]int32
	for _, list := range strings.Split(s, "/") {
		var nodes []int32
		for _, id := range strings.Split(list, ",") {
			n, err := strconv.Atoi(id)
			if err != nil {
				panic(err)
			}
			nodes = append(nodes, int32(n))
		}
		out = append(out, nodes)
	}
	return out
}

func partitionOf(s string) kafka.TopicPartition {
	topic, n, _ := strings.Cut(s, "/")
	id, err := strconv.Atoi(n)
	if err != nil {
		panic(err)
	}
	return kafka.TopicPartition{Topic: topic, Partition: int32(id)}
}

func errorName(err error) string { return codeName(kafka.Code(err)) }

func codeName(code int16) string {
	if code == 0 {
		return "ok"
	}
	return kerr.TypedErrorForCode(code).Message
}

func answer(code int16, message *string) []string {
	if message == nil {
		return []string{codeName(code)}
	}
	return []string{codeName(code) + ": " + *message}
}
