package cmd

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/ktrial/ktrial/checkers"
	"github.com/ktrial/ktrial/reports"
	"github.com/ktrial/ktrial/tap"
)

// tapping is one `ktrial tap`.
type tapping struct {
	cfg            tap.Config
	config         []string
	out            string
	strict, live   bool
	json           bool
	upTLS          bool
	ca, cert, key  string
	mostOperations int64
}

func tapCommand() *cobra.Command {
	var k tapping
	c := &cobra.Command{
		Use:   "tap --upstream HOST:PORT",
		Short: "a proxy in front of any cluster that judges its clients",
		Long: "tap listens in front of a cluster, passes everything on, and reads what clients send and receive: sends with their retries, " +
			"polls, commits. When it is stopped it says what was promised and kept. Clients in any language can be judged in this way; give " +
			"them the address of the tap as bootstrap.servers. Only addresses in answers are changed. Real time does not repeat, so there is no seed.\n\n" +
			"What was asked for (acks, idempotence) is read off the wire; what the topics promise, such as min.insync.replicas, is said by --config.",
		Example: examples(
			"tap --upstream 127.0.0.1:9092", "clients connect to 127.0.0.1:19092",
			"tap --upstream kafka-1:9092 --live --out DIR", "says at once what is certain, and keeps the history",
		),
		Args: exactly(0, "none"),
		RunE: func(*cobra.Command, []string) error { return k.run() },
	}
	c.Flags().StringVar(&k.cfg.Upstream, "upstream", "", "`HOST:PORT` of a broker of the cluster")
	c.Flags().StringVar(&k.cfg.Listen, "listen", "127.0.0.1:19092", "`HOST:PORT` in front of the first broker; the others have the ports that follow")
	c.Flags().StringVar(&k.out, "out", "", "keep the history in this `DIR`, for ktrial check")
	c.Flags().StringArrayVar(&k.config, "config", nil, "`KEY=VALUE`,...: what else is known of the configuration")
	c.Flags().DurationVar(&k.cfg.DropEvery, "drop-every", 0, "close all connections of clients every so often, a `DURATION`, as a broken network does; 0: never")
	c.Flags().BoolVar(&k.live, "live", false, "say what is certain while it runs")
	c.Flags().BoolVar(&k.strict, "strict", false, "what a setting permits is a violation, too")
	c.Flags().BoolVar(&k.json, "json", false, "print JSON")
	c.Flags().Int64Var(&k.mostOperations, "events", 10_000_000, "how many events are recorded at most, a `NUMBER` (about 130 bytes each); 0: no limit")
	c.Flags().BoolVar(&k.upTLS, "upstream-tls", false, "speak TLS with the brokers")
	c.Flags().StringVar(&k.ca, "upstream-ca", "", "a `FILE` with the certificates that brokers are signed by")
	c.Flags().StringVar(&k.cert, "tls-cert", "", "a certificate `FILE`: clients speak TLS with the tap")
	c.Flags().StringVar(&k.key, "tls-key", "", "the key `FILE` that belongs to it")
	return c
}

func (k *tapping) run() error {
	if k.cfg.Upstream == "" {
		return wrong("tap: found no --upstream, expected the HOST:PORT of a broker")
	}
	expect, err := checkers.ParseConfig(k.config...)
	if err != nil {
		return usage{fmt.Errorf("--config: %w", err)}
	}
	if err := k.tls(); err != nil {
		return usage{err}
	}
	if k.out != "" {
		if err := os.MkdirAll(k.out, 0o755); err != nil {
			return usage{err}
		}
	}
	if k.cfg.DropEvery < 0 {
		return wrong("tap: found --drop-every %v, expected a time above 0", k.cfg.DropEvery)
	}
	k.cfg.MostOperations = k.mostOperations
	k.cfg.Notice = func(text string) { fmt.Fprintln(os.Stderr, "ktrial: "+text) }
	if k.live {
		k.cfg.Live = func(f checkers.Found) { fmt.Fprintf(os.Stderr, "ktrial: %s: %s\n", f.Anomaly, f.Message) }
	}
	t, err := tap.Start(k.cfg)
	if err != nil {
		return usage{err}
	}
	fmt.Fprintf(os.Stderr, "ktrial: judging what passes through %s to %s; stop with Ctrl-C\n", t.Addr(), k.cfg.Upstream)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	onInterrupt(cancel)
	t.Run(ctx)
	fmt.Fprintln(os.Stderr, "ktrial: stopped; judges what was seen (another Ctrl-C ends without a verdict)")
	return k.report(t.Judge(k.strict, expect))
}

// tls reads certificates.
func (k *tapping) tls() error {
	if (k.cert == "") != (k.key == "") {
		return fmt.Errorf("--tls-cert %q --tls-key %q: expected both", k.cert, k.key)
	}
	if k.cert != "" {
		pair, err := tls.LoadX509KeyPair(k.cert, k.key)
		if err != nil {
			return err
		}
		k.cfg.Terminate = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	}
	if !k.upTLS && k.ca == "" {
		return nil
	}
	k.cfg.Upward = &tls.Config{MinVersion: tls.VersionTLS12}
	if k.ca != "" {
		text, err := os.ReadFile(k.ca)
		if err != nil {
			return err
		}
		k.cfg.Upward.RootCAs = x509.NewCertPool()
		if !k.cfg.Upward.RootCAs.AppendCertsFromPEM(text) {
			return fmt.Errorf("--upstream-ca %s: found no certificate in it", k.ca)
		}
	}
	return nil
}

// report prints the verdict, and keeps the history.
func (k *tapping) report(r tap.Result) error { return reportWire(r, k.out, k.json) }

// reportWire prints the verdict on what was read off the wire, and keeps the history in a
// directory, if one is named.
func reportWire(r tap.Result, out string, json bool) error {
	if json {
		if err := reports.WriteJSON(stdout, r.Judgement); err != nil {
			return err
		}
	} else {
		fmt.Fprint(stdout, r.Judgement)
		fmt.Fprintf(stdout, "  wire     %d requests, %d records sent, %d of them seen again, %d answers missing, %d frames not understood\n",
			r.Counts.Requests, r.Counts.Records, r.Counts.Again, r.Counts.Unanswered, r.Counts.Unread)
		if r.Counts.Ahead > 0 {
			fmt.Fprintf(stdout, "  ahead    %d acknowledged records lie above all that consumers have read\n", r.Counts.Ahead)
		}
		if r.Counts.Alike > 0 {
			fmt.Fprintf(stdout, "  alike    %d records without a producer id equal others: a duplicate of one cannot be told from the other\n", r.Counts.Alike)
		}
	}
	if out != "" {
		file := filepath.Join(out, "history.jsonl")
		if err := r.History.WriteFile(file); err != nil {
			return unwritten{err}
		}
		fmt.Fprintf(os.Stderr, "ktrial: the history is in %s; see: %s\n", file, commandLine("check", file))
	}
	return endedBy(reports.Verdict(r.Judgement.Verdict))
}
