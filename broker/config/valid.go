package config

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// check holds a value against what is valid, as one of Kafka's validators does.
type check func(name string, v parsed) error

// checkOf makes the validator that Kafka prints as valid.
func checkOf(valid string) (check, error) {
	bare, orMinusOne := strings.CutSuffix(valid, " or -1")
	bare, caseless := strings.CutPrefix(bare, "(case insensitive) ")
	bare, notEmpty := strings.CutPrefix(bare, "non-empty [")
	if notEmpty {
		bare = "[" + bare
	}
	switch bare {
	case "", "non-null string", "non-empty list": // no value that can be given is null; Kafka takes an empty list here
		return nil, nil
	case "non-empty string":
		return nonEmptyString, nil
	case "any non-empty value":
		return nonEmptyList(bare, nil), nil
	case "[partitionId]:[brokerId],[partitionId]:[brokerId],...":
		return throttledReplicas(bare), nil
	case "[latest, earliest, none, by_duration:PnDTnHnMn.nS]", "[latest, earliest, by_duration:PnDTnHnMn.nS]":
		return offsetReset(strings.Contains(bare, "none")), nil
	}
	inner, ok := strings.CutPrefix(bare, "[")
	inner, ok2 := strings.CutSuffix(inner, "]")
	if !ok || !ok2 {
		return nil, fmt.Errorf("what is valid is unclear: %q", valid)
	}
	if strings.Contains(inner, "...") {
		return inRange(inner, orMinusOne)
	}
	words := oneOf(strings.Split(inner, ", "), caseless)
	if notEmpty {
		return nonEmptyList(bare, words), nil
	}
	return words, nil
}

// inRange checks a number against "least,..." or "least,...,most".
func inRange(bounds string, orMinusOne bool) (check, error) {
	least, most, _ := strings.Cut(bounds, ",...")
	most = strings.TrimPrefix(most, ",")
	lo, err := strconv.ParseFloat(least, 64)
	hi := 0.0
	if err == nil && most != "" {
		hi, err = strconv.ParseFloat(most, 64)
	}
	if err != nil {
		return nil, fmt.Errorf("bounds %q: %w", bounds, err)
	}
	return func(name string, v parsed) error {
		switch tooLow, tooHigh := v.number < lo, most != "" && v.number > hi; {
		case orMinusOne && (tooLow || tooHigh) && v.number != -1:
			return invalid(name, v.text, fmt.Sprintf("Value must be between %s and %s or equal to -1", least, most))
		case orMinusOne:
		case tooLow:
			return invalid(name, v.text, "Value must be at least "+least)
		case tooHigh:
			return invalid(name, v.text, "Value must be no more than "+most)
		}
		return nil
	}, nil
}

// oneOf checks a word, or each of a list.
func oneOf(words []string, caseless bool) check {
	return func(name string, v parsed) error {
		given := v.items
		if given == nil && v.text != "" {
			given = []string{v.text}
		}
		for _, word := range given {
			switch {
			case caseless && !slices.Contains(words, strings.ToUpper(word)):
				return invalid(name, word, "String must be one of (case insensitive): "+strings.Join(words, ", "))
			case caseless || slices.Contains(words, word):
			case word == "" && len(v.items) > 0:
				return emptyItem(name)
			default:
				return invalid(name, word, "String must be one of: "+strings.Join(words, ", "))
			}
		}
		return nil
	}
}

func emptyItem(name string) error {
	return &Invalid{name, fmt.Sprintf("Configuration '%s' values must not be empty.", name)}
}

func nonEmptyString(name string, v parsed) error {
	if v.text == "" {
		return invalid(name, "", "String must be non-empty")
	}
	return nil
}

// nonEmptyList refuses an empty list, and then what words refuses.
func nonEmptyList(valid string, words check) check {
	if words == nil {
		words = noEmptyItem
	}
	return func(name string, v parsed) error {
		if len(v.items) == 0 {
			return &Invalid{name, fmt.Sprintf("Configuration '%s' must not be empty. Valid values include: %s", name, valid)}
		}
		return words(name, v)
	}
}

func noEmptyItem(name string, v parsed) error {
	if slices.Contains(v.items, "") {
		return emptyItem(name)
	}
	return nil
}

var throttled = regexp.MustCompile(`^(\d+:\d+)?$`)

// throttledReplicas takes "*" or a list of partition:broker.
func throttledReplicas(form string) check {
	return func(name string, v parsed) error {
		if slices.Equal(v.items, []string{"*"}) {
			return nil
		}
		for _, item := range v.items {
			if !throttled.MatchString(item) {
				return invalid(name, "["+strings.Join(v.items, ", ")+"]",
					name+" must be the literal '*' or a list of replicas in the following format: "+form)
			}
		}
		return nil
	}
}

var duration = regexp.MustCompile(`^P(\d+D)?(T(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?$`)

// offsetReset takes a position to begin at; a duration is one of ISO 8601, not
// below 0 (KIP-1106).
func offsetReset(none bool) check {
	words, listed, form := []string{"earliest", "latest"}, "'earliest', 'latest'", "PnDTnHnMn.nS"
	if none {
		words, listed, form = append(words, "none"), listed+", 'none'", "PnDTnHnMn.nS."
	}
	return func(name string, v parsed) error {
		by, isDuration := strings.CutPrefix(v.text, "by_duration:")
		by = strings.ToUpper(by)
		if slices.Contains(words, v.text) || isDuration && duration.MatchString(by) && !strings.HasSuffix(by, "P") && !strings.HasSuffix(by, "T") {
			return nil
		}
		return invalid(name, v.text, fmt.Sprintf("Invalid value `%s` for configuration %s. The value must be either %s or of the format 'by_duration:<%s>'.", v.text, name, listed, form))
	}
}
