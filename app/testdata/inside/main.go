// plain is built by the go command alone: its connections are those of package inside.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/ktrial/ktrial/sim/wasi/inside"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	for _, addr := range os.Args[1:] {
		c, err := inside.Dial(ctx, "tcp", addr)
		if err != nil {
			fmt.Println(err)
			continue
		}
		sent := make([]byte, 200_000)
		go c.Write(sent)
		n, err := io.ReadFull(c, make([]byte, len(sent)))
		fmt.Println("connected to", c.RemoteAddr(), "read", n, "bytes back", err)
		c.SetReadDeadline(time.Now().Add(time.Second))
		_, err = c.Read(sent)
		fmt.Println(err)
		c.Close()
	}
	begun := time.Now()
	<-inside.Stopping()
	fmt.Println("asked to end after", time.Since(begun).Round(time.Second))
}
