package market

import (
	"fmt"
	"strings"

	"github.com/ktrial/ktrial/checkers"
	"github.com/ktrial/ktrial/checkers/history"
)

// InvoicedOnce is a check over the history: of the invoices for an order, one
// can be read.
var InvoicedOnce = checkers.Promise{
	Name:  "each order is invoiced once",
	About: "no two invoices for one order are read, and none is missing",
	Own:   invoicedOnce,
}

func invoicedOnce(h *history.History) (found checkers.Own) {
	type seen struct {
		value string
		op    int64
	}
	invoices := map[string]seen{}
	h.Each(func(op *history.Op) bool {
		for _, p := range op.Polled {
			value := h.ValueOf(p.Rec).String()
			order, isInvoice := strings.CutPrefix(value, "invoice for ")
			if !isInvoice {
				continue
			}
			found.Checked++
			order, _, _ = strings.Cut(order, " by life ")
			first, known := invoices[order]
			if !known {
				invoices[order] = seen{value, h.Index(op.Row)}
			} else if first.value != value {
				found.Broken = append(found.Broken, checkers.Broken{
					Message: fmt.Sprintf("order %s has two invoices: %q and %q", order, first.value, value),
					Ops:     []int64{first.op, h.Index(op.Row)}, At: op.End,
				})
				invoices[order] = seen{value, h.Index(op.Row)} // tell each further one once
			}
		}
		return true
	})
	return found
}
