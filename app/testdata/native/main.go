// native uses C.
package main

import "native/c"

func main() { c.Do() }
