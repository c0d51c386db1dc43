//go:build !linux && !darwin

package live

import "errors"

func space(string) (total, usable int64, err error) { return 0, 0, errors.ErrUnsupported }
