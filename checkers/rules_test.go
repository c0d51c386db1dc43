package checkers

import (
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ktrial/ktrial/checkers/history"
)

// reader begins at the start of both partitions of accounts.
const reader = "1: assign accounts/0 accounts/1 seek=1\n"

const allRead = "\nlog: log end accounts/0@3 position accounts/0@3 end accounts/1@3 position accounts/1@3"

// Money that moves between two partitions of accounts, and what readers have of it.
var moneyTables = []struct {
	name, history string
	verdict       Verdict
	rule          Verdict
	says          string
}{
	{"a transfer is read whole", reader + `
		0: txn send accounts/0/10@0,-5 accounts/1/20@0,5 txn=t
		1: poll accounts/0/10@0,-5 accounts/1/20@0,5`, Holds, Holds, ""},
	{"one half of it is read before the other", reader + `
		0: txn send accounts/0/10@0,-5 accounts/1/20@0,5 txn=t
		1: poll accounts/0/10@0,-5
		1: poll accounts/1/20@0,5`, Holds, Holds, ""},
	{"the other half has not come yet", reader + `
		0: txn send accounts/0/10@0,-5 accounts/1/20@0,5 txn=t
		2: poll accounts/1/20@0,5
		1: poll accounts/0/10@0,-5`, Holds, Inconclusive, ""},
	{"a transfer that was aborted", reader + `
		0: txn send accounts/0/10@0,-5 accounts/1/20@0,5 txn=t
		0: txn send accounts/0/11,-7 accounts/1/21,7 txn=t fail
		1: poll accounts/0/10@0,-5 accounts/1/20@0,5` + allRead, Holds, Holds, ""},
	{"one of which no client knows how it ended, and that committed", reader + `
		0: txn send accounts/0/10,-5 accounts/1/20,5 txn=t info
		2: txn send accounts/0/12@1,-1 accounts/1/22@1,1 txn=u
		1: poll accounts/0/10@0,-5 accounts/1/20@0,5 accounts/0/12@1,-1 accounts/1/22@1,1` + allRead, Holds, Holds, ""},
	{"one of which half is passed over", reader + `
		0: txn send accounts/0/10@0,-5 accounts/1/20@0,5 txn=t
		2: txn send accounts/0/12@2,-1 accounts/1/22@2,1 txn=u
		1: poll accounts/0/10@0,-5
		1: poll accounts/1/22@2,1 accounts/0/12@2,-1`, Violated, Violated, "process 1 has read 3 records of accounts, of each transaction all or nothing, and amount adds up to -5, expected 0; what was read of a transaction of process 0 does not"},
	{"half of one that was aborted is read", reader + `
		2: txn send accounts/0/12@0,-1 accounts/1/22@0,1 txn=u
		0: txn send accounts/0/10@1,-5 accounts/1/20@1,5 txn=t fail
		1: poll accounts/0/12@0,-1 accounts/1/22@0,1 accounts/0/10@1,-5`, Violated, Violated, "adds up to -5"},
	{"half of one that nobody knows of is missing in the end", reader + `
		0: txn send accounts/0/10,-5 accounts/1/20,5 txn=t info
		2: txn send accounts/0/12@1,-1 accounts/1/22@1,1 txn=u
		1: poll accounts/0/10@0,-5 accounts/0/12@1,-1 accounts/1/22@1,1` + allRead, Violated, Violated, "in the end amount of all records of accounts adds up to -5"},
	{"the application has made money", reader + `
		0: txn send accounts/0/10@0,-5 accounts/1/20@0,6 txn=t
		1: poll accounts/0/10@0,-5 accounts/1/20@0,6`, Violated, Violated, "adds up to 1, expected 0"},
	{"a record without a number", reader + `
		0: txn send accounts/0/10@0,-5 accounts/1/20@0 txn=t
		1: poll accounts/0/10@0,-5 accounts/1/20@0`, Inconclusive, Inconclusive, ""},
	{"a reader that begins in the middle owes nothing", `
		1: assign accounts/0 accounts/1
		0: txn send accounts/0/10@0,-5 accounts/1/20@0,5 txn=t
		0: txn send accounts/0/11@2,-5 accounts/1/21@2,5 txn=t
		1: poll accounts/1/20@0,5 accounts/0/11@2,-5 accounts/1/21@2,5`, Inconclusive, Inconclusive, ""},
	{"what was sent before the history may be one half", reader + `
		0: txn send accounts/0/11@2,-5 accounts/1/21@2,5 txn=t
		1: poll accounts/0/9@0,-3 accounts/0/11@2,-5 accounts/1/21@2,5`, Inconclusive, Inconclusive, ""},
	{"a reader reads again", reader + `
		0: txn send accounts/0/10@0,-5 accounts/1/20@0,5 txn=t
		1: poll accounts/0/10@0,-5 accounts/1/20@0,5
		1: assign accounts/0 accounts/1 seek=1
		1: poll accounts/0/10@0,-5
		1: poll accounts/1/20@0,5`, Holds, Holds, ""},
}

func TestZeroSum(t *testing.T) {
	for _, c := range moneyTables {
		t.Run(c.name, func(t *testing.T) {
			j := Judge(historyOf(t, c.history), Options{Expect: config(t, "zero-sum=accounts:amount")})
			rulesSay(t, j, c.rule, c.says)
			if c.verdict != Holds { // another anomaly may be undecided where the rule holds
				assert.Equal(t, c.verdict, j.Verdict, "%v", j)
			}
		})
	}
}

func rulesSay(t *testing.T, j *Judgement, verdict Verdict, says string) {
	t.Helper()
	require.Len(t, j.Rules, 1)
	require.Equal(t, verdict, j.Rules[0].Verdict, "%v", j)
	assert.Equal(t, verdict != Inconclusive, j.Rules[0].Checked > 0)
	if says != "" {
		require.Len(t, j.Rules[0].Broken, 1)
		assert.Contains(t, j.Rules[0].Broken[0].Message, says)
		assert.NotEmpty(t, j.Rules[0].Broken[0].Ops)
		assert.Contains(t, j.String(), says)
	}
}

const drainedBoth = "\n9: commit orders/0@3 group=g\nlog: log end orders/0@3 position orders/0@3 end bills/0@9 position bills/0@9"

const twoOrders = `
	3: assign orders/0 seek=1
	4: assign bills/0 seek=1
	0: send orders/0/10@0
	0: send orders/0/11@1
	3: poll orders/0/10@0 orders/0/11@1`

// Orders, and what a group makes of them.
var outputTables = []struct {
	name, history string
	rule          Verdict
	says          string
}{
	{"each has one", twoOrders + `
		1: txn send bills/0/20@0,#10 commit orders/0@1 group=g txn=t
		1: txn send bills/0/21@2,#11 commit orders/0@3 group=g txn=t
		4: poll bills/0/20@0,#10 bills/0/21@2,#11` + drainedBoth, Holds, ""},
	{"one has two", twoOrders + `
		1: txn send bills/0/20@0,#10 txn=t
		2: txn send bills/0/21@2,#10 txn=u
		4: poll bills/0/20@0,#10 bills/0/21@2,#10`, Violated, "10 has 2 records in bills, expected 1"},
	{"one is read twice", twoOrders + `
		1: txn send bills/0/20@0,#10 txn=t
		4: poll bills/0/20@0,#10
		5: poll bills/0/20@0,#10`, Holds, ""},
	{"one has none, and the group has gone on", twoOrders + `
		1: txn send bills/0/20@0,#10 commit orders/0@1 group=g txn=t
		4: poll bills/0/20@0,#10` + drainedBoth, Violated, "11 was acknowledged, and has no record in bills"},
	{"the group has not come so far", twoOrders + `
		1: txn send bills/0/20@0,#10 commit orders/0@1 group=g txn=t
		4: poll bills/0/20@0,#10
		log: log end orders/0@3 position orders/0@3 end bills/0@9 position bills/0@9`, Holds, ""},
	{"another group has, and this one not", twoOrders + `
		1: txn send bills/0/20@0,#10 commit orders/0@1 group=g txn=t
		4: poll bills/0/20@0,#10
		8: commit orders/0@3 group=h
		log: log end orders/0@3 position orders/0@3 end bills/0@9 position bills/0@9`, Holds, ""},
	{"the outputs were not read to the end", twoOrders + `
		1: txn send bills/0/20@0,#10 commit orders/0@1 group=g txn=t
		4: poll bills/0/20@0,#10
		9: commit orders/0@3 group=g`, Holds, ""},
	{"a send in doubt need not have one", `
		3: assign orders/0 seek=1
		4: assign bills/0 seek=1
		0: send orders/0/10@0
		0: send orders/0/11 info
		3: poll orders/0/10@0 orders/0/11@1
		1: txn send bills/0/20@0,#10 commit orders/0@1 group=g txn=t
		4: poll bills/0/20@0,#10` + drainedBoth, Holds, ""},
	{"one of nothing", twoOrders + `
		1: txn send bills/0/20@0,#10 bills/0/21@1,#11 bills/0/22@2,#12 commit orders/0@3 group=g txn=t
		4: poll bills/0/20@0,#10 bills/0/21@1,#11 bills/0/22@2,#12` + drainedBoth, Violated, "12 has a record in bills, and is not in its input"},
	{"a value that is there twice says nothing", `
		0: send orders/0/10@0
		0: send orders/1/10@0
		3: poll orders/0/10@0 orders/1/10@0
		1: txn send bills/0/20@0,#10 bills/0/21@1,#10 txn=t
		4: poll bills/0/20@0,#10 bills/0/21@1,#10`, Inconclusive, ""},
	{"an output without a key", twoOrders + `
		1: txn send bills/0/20@0 commit orders/0@3 group=g txn=t
		4: poll bills/0/20@0` + drainedBoth, Inconclusive, ""},
}

func TestOneOutput(t *testing.T) {
	for _, c := range outputTables {
		t.Run(c.name, func(t *testing.T) {
			rulesSay(t, Judge(historyOf(t, c.history), Options{Expect: config(t, "one-output=orders:bills")}), c.rule, c.says)
		})
	}
}

// A history that tells its rules is judged by them; those that cannot be judged are named.
func TestAHistoryTellsItsRules(t *testing.T) {
	h := historyOf(t, "config: zero-sum=accounts:amount,one-output=orders:bills+bills:receipts\n"+moneyTables[0].history)
	j := Judge(h, Options{})
	require.Len(t, j.Rules, 3)
	assert.Equal(t, []Verdict{Holds, Inconclusive, Inconclusive}, []Verdict{j.Rules[0].Verdict, j.Rules[1].Verdict, j.Rules[2].Verdict})
	assert.Contains(t, j.Config, "one-output=orders:bills+bills:receipts")

	j = Judge(historyOf(t, moneyTables[5].history), Options{Expect: config(t, "zero-sum=accounts:amount,isolation=read_uncommitted")})
	assert.Equal(t, Inconclusive, j.Rules[0].Verdict)
	assert.Contains(t, j.Notes[len(j.Notes)-1], "zero-sum=accounts:amount is not judged: isolation.level=read_uncommitted")

	for _, wrong := range []string{"zero-sum=accounts", "one-output=a:b:c", "one-output=:b", "one-output=a:b+"} {
		_, err := ParseConfig(wrong)
		assert.ErrorContains(t, err, "expected two names with a colon in between", wrong)
	}
}

// Transactions of a cluster that keeps every promise make no money, and of each input one output, whatever their
// clients and readers do.
func TestNoFalseAlarmOfRules(t *testing.T) {
	checked := [2]int64{}
	expect := config(t, "zero-sum=bills:amount,one-output=orders:bills,subscribe=true,empty-polls=unknown")
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		rng := rand.New(rand.NewPCG(seed, 29))
		yes := func() bool { return rng.IntN(2) == 0 }
		cfg := pipelineConfig{
			Inputs: 1 + rng.IntN(3), Outputs: 1 + rng.IntN(3), Members: 1 + rng.IntN(3), Ops: 20 + rng.IntN(150),
			TellGeneration: yes(), TellListener: yes(), TellIDs: yes(), TellOffsets: yes(), TellSends: yes(), V2: yes(), AskAll: yes(),
			Rules: true,
		}
		h := newPipelineModel(seed, cfg).run()
		if rng.IntN(3) == 0 {
			h = partOf(h, rng)
		}
		j := Judge(h, Options{Expect: expect})
		for i, r := range j.Rules {
			if r.Verdict == Violated {
				t.Fatalf("%+v: %s", cfg, j)
			}
			checked[i] += r.Checked
		}
	})
	assert.Positive(t, checked[0])
	assert.Positive(t, checked[1])
}

// balanced gives what a transaction sends amounts that add up to nothing.
func balanced(rng *rand.Rand, mops []history.Mop) {
	sum := int64(0)
	for i := range mops {
		amount := rng.Int64N(100) - 50
		if i == len(mops)-1 {
			amount = -sum
		}
		sum += amount
		mops[i].Headers = []history.Header{{Key: "amount", Value: strconv.FormatInt(amount, 10)}}
	}
}
