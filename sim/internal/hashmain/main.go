// Command hashmain prints the hashes of a few worlds. A test builds it for
// several architectures and compares what they print.
package main

import (
	"fmt"
	"os"

	"github.com/ktrial/ktrial/sim/internal/storm"
)

func main() {
	for seed := range uint64(2) {
		hash, err := storm.Run(seed)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Printf("%d %016x\n", seed, hash)
	}
}
