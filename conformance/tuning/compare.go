package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/ktrial/ktrial/lab/baseline"
	"github.com/ktrial/ktrial/lab/calibrate"
	"github.com/ktrial/ktrial/lab/experiment"
	"github.com/ktrial/ktrial/lab/plots"
	"github.com/ktrial/ktrial/lab/profile"
	"github.com/ktrial/ktrial/lab/published"
)

func compare(args []string) error {
	f := flags("compare")
	profilePath := f.String("profile", "", "the profile, for formulas")
	calibration := f.String("calibration", "", "what ktrial calibrate --json printed, for formulas")
	plotsDir := f.String("plots", "", "draw to this directory")
	cases := f.Bool("cases", false, "print each case")
	f.Parse(args)
	if f.NArg() < 1 {
		return fmt.Errorf("found no table, expected measured.csv [predicted.csv]")
	}
	measured, err := readTable(f.Arg(0))
	if err != nil {
		return err
	}
	var predicted []experiment.Row
	if f.NArg() > 1 {
		if predicted, err = readTable(f.Arg(1)); err != nil {
			return err
		}
	}
	model, unpaired := experiment.Compare(measured, predicted)
	for _, c := range unpaired {
		fmt.Fprintf(os.Stderr, "tuning: %s: measured and not predicted\n", c)
	}
	fmt.Print(experiment.Table("ktrial bench", model))
	if *profilePath != "" && *calibration != "" {
		if err := beside(measured, *profilePath, *calibration); err != nil {
			return err
		}
	}
	if *cases {
		for _, c := range model {
			fmt.Printf("\n%s\n\n%s", c.Metric.Name, experiment.Cases(c))
		}
	}
	return drawAll(model, *plotsDir)
}

// beside prints how the baselines did.
func beside(measured []experiment.Row, profilePath, calibration string) error {
	h, err := readHardware(profilePath, calibration)
	if err != nil {
		return err
	}
	for _, b := range baselines {
		var rows []experiment.Row
		for _, r := range measured {
			rows = append(rows, b.of(r, h))
		}
		all, _ := experiment.Compare(measured, rows)
		fmt.Print(experiment.Lines(b.name, all))
	}
	return nil
}

func drawAll(model []experiment.Comparison, dir string) error {
	if dir == "" {
		return nil
	}
	for _, c := range model {
		if err := plots.Save(picture(c), filepath.Join(dir, strings.ReplaceAll(c.Metric.Name, " ", "-")+".svg")); err != nil {
			return err
		}
	}
	return nil
}

func picture(c experiment.Comparison) plots.Compared {
	p := plots.Compared{
		Title: "Predicted and measured: " + c.Metric.Name, Unit: c.Metric.Unit, Bound: 0.2,
		About: fmt.Sprintf("%d cases, Kendall tau %.2f, median error %.0f%%, noise of the measurement %.0f%%", len(c.Pairs), c.Tau, 100*c.MedianError, 100*c.Noise),
	}
	for _, at := range c.Pairs {
		p.Points = append(p.Points, plots.Comparison{Name: at.Case, Measured: at.Measured, Low: at.Low, High: at.High, Predicted: at.Predicted})
	}
	return p
}

// baselines are what the model must beat.
var baselines = []struct {
	name string
	of   func(experiment.Row, baseline.Hardware) experiment.Row
}{
	{"closed forms", closedForms},
	{"AWS sizing guide", sizingGuide},
	{"nearest published figure", nearestPublished},
}

// readHardware makes what formulas need of a profile and a calibration.
func readHardware(profilePath, calibration string) (h baseline.Hardware, err error) {
	p, err := profile.Load(profilePath)
	if err != nil {
		return h, err
	}
	text, err := os.ReadFile(calibration)
	if err != nil {
		return h, err
	}
	var c calibrate.Result
	if err := json.Unmarshal(text, &c); err != nil {
		return h, fmt.Errorf("%s: %w", calibration, err)
	}
	value := func(name string) float64 { f, _ := p.Get(name); return f.Value }
	micros := func(us float64) time.Duration { return time.Duration(us * 1000) }
	h = baseline.Hardware{
		NIC: value(profile.BrokerNIC), Disk: value(profile.DiskWrite), Disks: int(value(profile.DiskCount)), Fsync: micros(value(profile.DiskFsync)),
		ProducerRecord: micros(value(profile.ProducerRecord)), ProducerByte: value(profile.ProducerByte),
	}
	for _, w := range c.Waits {
		switch w.Name {
		case calibrate.WaitAppend:
			h.RoundTrip = micros(w.P50)
		case calibrate.WaitAppendAll:
			h.ReplicationWait = micros(w.P50)
		}
	}
	h.ReplicationWait = max(0, h.ReplicationWait-h.RoundTrip)
	if p, ok := p.Get(profile.SharedHost); ok && p.Value > 0 {
		h.Disk /= brokers // they all write to the one
	}
	return h, nil
}

// The cluster of the experiment.
const (
	brokers    = 3
	partitions = 6
	replicas   = 3
	// recordOverhead is what a record without key and headers takes in a batch beside its value.
	recordOverhead = 12
	bufferMemory   = 32 << 20
	mostRequest    = 1 << 20
)

func setup(r experiment.Row, h baseline.Hardware) baseline.Setup {
	whole := func(name string) int { n, _ := strconv.Atoi(r.Setting(name)); return n }
	return baseline.Setup{
		Brokers: brokers, Partitions: partitions, ReplicationFactor: replicas, Producers: 1, Acks: r.Setting("acks"),
		RecordBytes: whole("record.size") + recordOverhead, BatchBytes: whole("batch.size"), Linger: time.Duration(whole("linger.ms")) * time.Millisecond,
		InFlight: whole("max.in.flight.requests.per.connection"), BufferBytes: bufferMemory, MaxRequestBytes: mostRequest, Offered: r.Rate, Hardware: h,
	}
}

func inMillis(d time.Duration) float64 { return d.Seconds() * 1000 }

func closedForms(r experiment.Row, h baseline.Hardware) experiment.Row {
	f := baseline.Predict(setup(r, h))
	r.PerSecond, r.Mean, r.P50, r.P99, r.By = f.RecordsPerSecond, inMillis(f.Mean), inMillis(f.P50), inMillis(f.P99), f.Binding
	return r
}

// sizingGuide knows throughput; the mean of a saturated producer follows from it.
func sizingGuide(r experiment.Row, h baseline.Hardware) experiment.Row {
	s := setup(r, h)
	b, _ := baseline.SizingGuide(s)
	r.PerSecond = b.BytesPerSecond / float64(s.RecordBytes)
	r.Mean, r.P99 = inMillis(baseline.BufferWait(bufferMemory, b.BytesPerSecond)), 0
	if r.Rate > 0 {
		r.PerSecond, r.Mean = 0, 0
	}
	return r
}

func nearestPublished(r experiment.Row, _ baseline.Hardware) experiment.Row {
	s := setup(r, baseline.Hardware{})
	like := published.Row{
		Brokers: brokers, Partitions: partitions, ReplicationFactor: replicas, Acks: s.Acks, Producers: 1, RecordBytes: s.RecordBytes - recordOverhead,
		BatchBytes: s.BatchBytes, LingerMs: inMillis(s.Linger), LingerGiven: true, Compression: "none", OfferedPerSecond: r.Rate,
	}
	value := func(metric string) float64 {
		like.Metric = metric
		near, _, _ := baseline.Nearest(published.Rows(), like)
		return near.Value
	}
	r.PerSecond, r.Mean, r.P99 = value("throughput"), value("publish_latency_avg"), value("publish_latency_p99")
	return r
}
