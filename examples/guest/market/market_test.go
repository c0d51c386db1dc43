package market

import (
	"testing"

	"github.com/ktrial/ktrial"
)

func TestEachOrderIsInvoicedOnce(t *testing.T) {
	ktrial.Try(t, Invoices, ktrial.Seeds(1, 5))
}
