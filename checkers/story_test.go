package checkers

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ktrial/ktrial/checkers/history"
)

// historyOf reads a history from lines such as
//
//	0: send x/10@0                 process 0 sends 10 to x and is told offset 0
//	1: poll x/10@0 x/11@1          process 1 polls and is given two records
//	0> txn send x/10               process 0 begins a transaction
//	0< txn send x/10@0 fail        and learns how it ended
//	2: commit x@5 group=g
//	2: assigned x y group=g generation=4
//	2: processed x@5 group=g
//	0: send x/10@0 key=k           with a record key; header, timestamp and leader likewise
//	0: txn send x/10@0,-5 y/1@0,#k with a header "amount" of its own, or a record key
//	log: start x@0 end x@9         what is known of the logs in the end
//	fault: unclean-election x
//	config: acks=1,retention=true
//
// Outcomes are ok, fail and info; ok need not be said.
func historyOf(t testing.TB, text string) *history.History {
	rec := history.NewRecorder()
	now := time.Duration(0)
	for _, line := range strings.Split(text, "\n") {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		now += time.Millisecond
		if text, isConfig := strings.CutPrefix(line, "config: "); isConfig {
			rec.Note(history.Event{Actor: "ktrial", F: history.Config, Type: history.Unknown, Time: now, Text: text})
			continue
		}
		i := strings.IndexAny(line, ":<>")
		require.Positive(t, i, line)
		e := storyEvent(t, line[i+1:])
		e.Time = now
		process, err := strconv.ParseInt(line[:i], 10, 64)
		if err != nil {
			e.Actor = line[:i]
			rec.Note(e)
			continue
		}
		e.Process = process
		if line[i] != '<' && !e.F.OfListener() {
			begin := e
			begin.Mops = asked(e.Mops)
			rec.Invoke(begin)
		}
		if line[i] != '>' {
			e.Time += time.Millisecond / 2
			rec.Complete(e)
		}
	}
	return rec.History()
}

// asked is what an invocation says of what a completion says.
func asked(mops []history.Mop) (out []history.Mop) {
	for _, m := range mops {
		m.Records = nil
		if m.Kind != history.MopCommit && m.Kind != history.MopDelete && m.Kind != history.MopProcessed {
			m.Offset = history.Number{}
		}
		out = append(out, m)
	}
	return out
}

func storyKey(text string) history.Value {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return history.Int(n)
	}
	if text == "nil" {
		return history.Null()
	}
	return history.Keyword(text)
}

var storyFs = map[string]history.F{
	"send": history.Send, "poll": history.Poll, "txn": history.Txn, "assign": history.Assign, "subscribe": history.Subscribe,
	"crash": history.Crash, "commit": history.Commit, "committed": history.Committed, "end": history.ListOffsets,
	"start": history.ListOffsets, "stable": history.ListOffsets, "delete": history.DeleteRecords,
	"init": history.InitProducer, "join": history.Join, "log": history.Log, "fault": history.Fault,
	"assigned": history.Assigned, "revoked": history.Revoked, "lost": history.Lost, "processed": history.Process, "seek": history.Seek,
}

var storyMops = map[string]history.MopKind{
	"send": history.MopSend, "poll": history.MopPoll, "commit": history.MopCommit, "committed": history.MopCommitted,
	"start": history.MopStart, "end": history.MopEnd, "stable": history.MopStable, "delete": history.MopDelete, "position": history.MopPosition,
	"processed": history.MopProcessed,
}

func storyEvent(t testing.TB, text string) (e history.Event) {
	var shared history.Attributes // of all records of the operation
	e.Type = history.OK
	words := strings.Fields(text)
	e.F = storyFs[words[0]]
	kind, speaking := history.MopKind(0), false
	if e.F == history.Other { // a note: "log: end x@3" or "fault: name x"
		e.F, e.Name = history.Fault, words[0]
	}
	for i, w := range words {
		name, value, pair := strings.Cut(w, "=")
		switch k, isMop := storyMops[w]; {
		case w == "ok" || w == "fail" || w == "info":
			e.Type = map[string]history.Type{"ok": history.OK, "fail": history.Failed, "info": history.Unknown}[w]
		case pair && name == "group":
			e.Group = value
		case pair && name == "member":
			e.Member = value
		case pair && name == "instance":
			e.Instance = value
		case pair && name == "session":
			e.Session = value
		case pair && name == "txn":
			e.Transaction = value
		case pair && name == "key":
			shared.RecordKey = history.Text(value)
		case pair && name == "header":
			shared.Headers = []history.Header{{Key: "h", Value: value}}
		case pair:
			n, err := strconv.ParseInt(value, 10, 64)
			require.NoError(t, err, text)
			switch name {
			case "generation":
				e.Generation = n
			case "producer":
				e.Producer = n
			case "epoch":
				e.ProducerEpoch = n
			case "timestamp":
				shared.Timestamp = history.At(n)
			case "leader":
				shared.LeaderEpoch = history.At(n)
			case "seek":
				e.SeekToBeginning = n == 1
			}
		case strings.HasPrefix(w, "~"):
			e.Rebalanced = append(e.Rebalanced, storyKey(w[1:]))
		case isMop:
			if kind, speaking = k, true; k == history.MopPoll {
				e.Mops = append(e.Mops, history.Mop{Kind: k})
			}
		case speaking:
			e.Mops = storyMop(e.Mops, kind, w)
		case i > 0:
			e.Keys = append(e.Keys, storyKey(w))
		}
	}
	for i := range e.Mops {
		m := &e.Mops[i]
		m.Attributes = sharing(m.Attributes, shared)
		for j := range m.Records {
			m.Records[j].Attributes = sharing(m.Records[j].Attributes, shared)
		}
	}
	return e
}

// sharing is what a record has of its own, or what all have.
func sharing(own, shared history.Attributes) history.Attributes {
	if own.RecordKey == (history.Value{}) && own.Headers == nil {
		return shared
	}
	return own
}

// storyAttribute reads an amount (-5) or a record key (#k).
func storyAttribute(text string) (a history.Attributes) {
	if key, isKey := strings.CutPrefix(text, "#"); isKey {
		a.RecordKey = history.Text(key)
	} else if text != "" {
		a.Headers = []history.Header{{Key: "amount", Value: text}}
	}
	return a
}

func storyMop(mops []history.Mop, kind history.MopKind, w string) []history.Mop {
	w, attribute, _ := strings.Cut(w, ",")
	place, at, known := strings.Cut(w, "@")
	offset := history.NoOffset
	if known && at != "?" {
		offset, _ = strconv.ParseInt(at, 10, 64)
	}
	key, value := place, ""
	if i := strings.LastIndexByte(place, '/'); i > 0 && (kind == history.MopSend || kind == history.MopPoll) {
		key, value = place[:i], place[i+1:]
	}
	m := history.Mop{Kind: kind, Key: storyKey(key), Value: storyKey(value), Offset: history.At(offset), Attributes: storyAttribute(attribute)}
	if kind != history.MopPoll {
		return append(mops, m)
	}
	last := &mops[len(mops)-1]
	last.Records = append(last.Records, history.Record{Key: m.Key, Offset: history.At(offset), Value: m.Value, Attributes: m.Attributes})
	return mops
}
