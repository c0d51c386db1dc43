package raft

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/ktrial/ktrial/broker/files"
	"github.com/ktrial/ktrial/broker/kafka"
	"github.com/ktrial/ktrial/sim/env"
)

// quorumStateFile is its name in the directory of the metadata log.
const quorumStateFile = "quorum-state"

// stateJSON is the file: version 0, which a quorum with fixed voters writes,
// or version 1 (KIP-853), which is read too.
type stateJSON struct {
	ClusterID     string            `json:"clusterId"`
	LeaderID      kafka.NodeID      `json:"leaderId"`
	LeaderEpoch   kafka.LeaderEpoch `json:"leaderEpoch"`
	VotedID       kafka.NodeID      `json:"votedId"`
	AppliedOffset kafka.Offset      `json:"appliedOffset"`
	CurrentVoters []stateVoter      `json:"currentVoters"`
	DataVersion   int16             `json:"data_version"`
}

type stateVoter struct {
	VoterID kafka.NodeID `json:"voterId"`
}

// readQuorumState reads what this member remembers, or NoQuorumState if it has
// never been part of a quorum.
func readQuorumState(disk env.Disk, dir string) (QuorumState, error) {
	path := dir + "/" + quorumStateFile
	b, err := files.Read(disk, path)
	if errors.Is(err, env.ErrNotExist) {
		return NoQuorumState, nil
	}
	if err != nil {
		return QuorumState{}, fmt.Errorf("raft: read %s: %w", path, err)
	}
	const missing = kafka.NoNode - 1 // a vote whose name rotted must not read as none
	s := stateJSON{LeaderID: missing, LeaderEpoch: kafka.NoEpoch, VotedID: missing}
	if err := json.Unmarshal(b, &s); err != nil {
		return QuorumState{}, fmt.Errorf("raft: read %s: %d bytes of no quorum state: %w", path, len(b), err)
	}
	if s.DataVersion < 0 || s.DataVersion > 1 || s.LeaderEpoch < 0 || s.LeaderID < kafka.NoNode || s.VotedID < kafka.NoNode {
		return QuorumState{}, fmt.Errorf("raft: read %s: %s: version 0 or 1 and an epoch, a leader and a vote expected", path, bytes.TrimSpace(b))
	}
	return QuorumState{Epoch: s.LeaderEpoch, Leader: s.LeaderID, Voted: s.VotedID}, nil
}

// writeQuorumState makes s durable: written aside, synced, and put in place in
// one step, so that a loss of power leaves the old one or the new one.
func writeQuorumState(disk env.Disk, dir string, s QuorumState, voters []kafka.NodeID) error {
	file := stateJSON{LeaderID: s.Leader, LeaderEpoch: s.Epoch, VotedID: s.Voted}
	for _, id := range voters {
		file.CurrentVoters = append(file.CurrentVoters, stateVoter{id})
	}
	b, err := json.Marshal(file)
	if err != nil {
		panic(fmt.Sprintf("raft: encode the quorum state %+v: %v", s, err))
	}
	path := dir + "/" + quorumStateFile
	if err := files.Replace(disk, path, path+".tmp", b); err != nil {
		return fmt.Errorf("raft: write %s: %w", path, err)
	}
	return nil
}
