// Command ktrial puts Kafka on trial. See package cmd.
package main

import "github.com/ktrial/ktrial/cmd"

func main() { cmd.Main("ktrial") }
