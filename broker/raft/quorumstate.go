package raft

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

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
	b, err := readFile(disk, path)
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
	if err := writeDurably(disk, dir, path, path+".tmp", b); err != nil {
		return fmt.Errorf("raft: write %s: %w", path, err)
	}
	return nil
}

func readFile(disk env.Disk, path string) ([]byte, error) {
	f, err := disk.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil && size > 0 {
		return nil, err
	}
	return b, nil
}

// writeDurably writes aside first. The order is all that matters: contents,
// then the name, then the directory (KAFKA-15312).
func writeDurably(disk env.Disk, dir, path, aside string, b []byte) error {
	f, err := disk.Create(aside)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, 0)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = disk.Rename(aside, path)
	}
	if err == nil {
		err = disk.SyncDir(dir)
	}
	return err
}
