// Package checkers judges histories: what clients saw of a Kafka cluster, any
// cluster. It knows neither a broker nor a simulator, and needs nothing but
// the history.
//
// Judge looks for every departure from what Kafka promises (see Anomalies),
// subtracts what the configuration and the faults that happened permit (see
// Expectations), and proves the rest, each anomaly with the fewest operations
// that show it. A history of your own cluster is recorded and judged so:
//
//	rec := history.NewRecorder()
//	orders := history.Partition("orders", 0)
//
//	send := []history.Mop{{Kind: history.MopSend, Key: orders, Value: history.Text("a")}}
//	rec.Invoke(history.Event{Process: 0, F: history.Send, Time: now(), Mops: send})
//	// ... produce with the client under test, and learn the offset ...
//	send[0].Offset = history.At(17)
//	rec.Complete(history.Event{Type: history.OK, Process: 0, F: history.Send, Time: now(), Mops: send})
//
//	judgement := checkers.Judge(rec.History(), checkers.Options{})
//	fmt.Println(judgement)
//
// What else the verdict depends on can be told with Options, or by the history
// itself, as events that are not a client's: history.Config with the
// configuration, as ParseConfig reads it; history.Fault with what happened to
// the cluster and where (history.UncleanElection, history.LossyCrashes, ...); history.Log with
// where the logs end when all is over. Live judges while a history is being
// recorded, to stop at the first violation that is certain. The format of files
// is in docs/history.md; history.Stream writes it from concurrent clients.
//
// Nothing is searched for: records carry their offsets, so each check is a
// sweep over the log that all observations together tell, in time and memory
// linear in the history. Only registers whose values repeat are searched, between
// the moments at which nothing is under way and within a budget of steps: a
// verdict never depends on a clock.
//
// Detectors are in package detect, what a configuration permits in package
// permit, the words of a proof in package explain.
//
// A verdict of holds is worth what was examined. A history in which nothing
// was acknowledged or nothing was read is inconclusive.
package checkers
