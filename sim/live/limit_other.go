//go:build !unix

package live

// descriptorLimit is how many files this program may have open, as far as known.
func descriptorLimit() int { return 2048 }
