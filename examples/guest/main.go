// Command guest is ktrial with the scenarios of this module:
//
//	go run . run invoices --seed 7
//	go run . hunt invoices --seeds 1..50
package main

import (
	"github.com/ktrial/ktrial/cmd"

	_ "example.org/guest/market" // declares itself
)

func main() { cmd.Main("go run .") }
