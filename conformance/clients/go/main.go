// Go's clients of Kafka as members of a group: they print what they are given
// and commit it, until SIGTERM. It is a module of its own, so that what it needs
// is not needed by ktrial.
//
//	goclients CLIENT BOOTSTRAP TOPIC GROUP MODE [INSTANCE]
//	goclients CLIENT BOOTSTRAP TOPIC GROUP pipeline INSTANCE      copies TOPIC to TOPIC-GROUP in transactions
//	goclients CLIENT BOOTSTRAP TOPIC ID transactions FIRST        writes transactions from number FIRST on
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// member is what a client is to be in a group.
type member struct {
	brokers                      []string
	topic, group, mode, instance string
}

// clients are what they do as members, by client and, where it is no mode of a group, mode.
var clients = map[string]func(context.Context, member) error{
	"franz-go": franz, "sarama": saramaMember, "kafka-go": kafkaGo,
	"franz-go pipeline": franzPipeline,
	"franz-go transactions": func(ctx context.Context, m member) error {
		return transactions(ctx, m, newFranzProducer)
	},
	"sarama transactions": func(ctx context.Context, m member) error {
		return transactions(ctx, m, newSaramaProducer)
	},
}

func main() {
	if len(os.Args) < 6 {
		fmt.Fprintln(os.Stderr, "goclients: found too few arguments, expected CLIENT BOOTSTRAP TOPIC GROUP MODE [INSTANCE]")
		os.Exit(64)
	}
	m := member{strings.Split(os.Args[2], ","), os.Args[3], os.Args[4], os.Args[5], ""}
	if len(os.Args) > 6 {
		m.instance = os.Args[6]
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	name := os.Args[1]
	if m.mode == "pipeline" || m.mode == "transactions" {
		name += " " + m.mode
	}
	run, ok := clients[name]
	if !ok {
		fmt.Fprintln(os.Stderr, "goclients: client", name, "is unknown")
		os.Exit(64)
	}
	if err := run(ctx, m); err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	fmt.Println("closed")
}

func record(partition int32, offset int64, value []byte) {
	fmt.Println("record", partition, offset, string(value))
}
