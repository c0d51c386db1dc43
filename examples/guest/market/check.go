package market

import (
	"fmt"
	"strings"

	"github.com/ktrial/ktrial/checkers"
	"github.com/ktrial/ktrial/checkers/history"
)

// InvoicedOnce is a check over the history: an order has one invoice.
var InvoicedOnce = checkers.Check{
	Name:  "each order is invoiced once",
	About: "of all invoices that were acknowledged, no two are for one order",
	Run:   invoicedOnce,
}

func invoicedOnce(h *history.History) (found checkers.Checked) {
	type invoice struct {
		value string
		op    int64
	}
	invoices := map[string]invoice{}
	h.Each(func(op *history.Op) bool {
		for _, s := range op.Sends {
			value := h.ValueOf(s.Rec).String()
			order, isInvoice := strings.CutPrefix(value, "invoice for ")
			if !isInvoice || op.Type != history.OK {
				continue
			}
			found.Count++
			order, _, _ = strings.Cut(order, " by life ")
			this := invoice{value, h.Index(op.Row)}
			if first, known := invoices[order]; known {
				found.Broken = append(found.Broken, checkers.Broken{
					Message: fmt.Sprintf("order %s has two invoices: %q and %q", order, first.value, value),
					Ops:     []int64{first.op, this.op}, Values: []string{first.value, value}, At: op.End,
				})
			}
			invoices[order] = this
		}
		return true
	})
	return found
}
