// Go's clients of Kafka as members of a group: they print what they are given
// and commit it, until SIGTERM. It is a module of its own, so that what it needs
// is not needed by ktrial.
//
//	goclients CLIENT BOOTSTRAP TOPIC GROUP MODE [INSTANCE]
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
	run, ok := map[string]func(context.Context, member) error{"franz-go": franz, "sarama": saramaMember, "kafka-go": kafkaGo}[os.Args[1]]
	if !ok {
		fmt.Fprintln(os.Stderr, "goclients: client", os.Args[1], "is unknown")
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
