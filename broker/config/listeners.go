package config

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// endpoint is an item of listeners.
type endpoint struct {
	name, host string
	port       int
}

var endpointForm = regexp.MustCompile(`^(.*)://\[?([0-9a-zA-Z\-%._:]*)\]?:(-?[0-9]+)$`)

// listenersParse refuses listeners that cannot be read. Where none is given the defaults are right.
func listenersParse(v Values) string {
	if !v.listens() {
		return ""
	}
	protocols, says := v.protocols()
	if says == "" {
		_, says = endpoints(items(v.Text("listeners")), protocols)
	}
	return says
}

// listenersFit refuses listeners that do not fit to what a node is, and to what it advertises.
func listenersFit(v Values) string {
	if !v.listens() {
		return ""
	}
	protocols, _ := v.protocols()
	points, _ := endpoints(items(v.Text("listeners")), protocols)
	advertised, says := endpoints(items(v.Text("advertised.listeners")), protocols)
	names := namesOf(points)
	if says == "" {
		says = v.controllerListeners(names, protocols)
	}
	if says != "" {
		return says
	}
	for _, e := range advertised {
		if !slices.Contains(names, e.name) {
			return fmt.Sprintf("requirement failed: advertised.listeners listener names must be equal to or a subset of the ones defined in listeners. Found %s. The valid options based on the current configuration are %s",
				strings.Join(namesOf(advertised), ","), strings.Join(names, ","))
		}
	}
	return ""
}

func (v Values) listens() bool { return v.Has("listeners") || v.Has("listener.security.protocol.map") }

// protocols finds the security protocol of each listener's name.
func (v Values) protocols() (of map[string]string, says string) {
	const name = "listener.security.protocol.map"
	pairs, says := v.pairs(name)
	if says != "" {
		return nil, says
	}
	of = map[string]string{}
	for _, p := range pairs {
		listener, protocol := strings.ToUpper(p[0]), strings.ToUpper(p[1])
		switch {
		case listener == "":
			return nil, "The provided listener name is null or empty string"
		case !slices.Contains([]string{"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"}, protocol):
			return nil, fmt.Sprintf("Invalid security protocol `%s` defined in %s", p[1], name)
		}
		of[listener] = protocol
	}
	if v.Has(name) {
		return of, ""
	}
	for _, listener := range items(v.Text("listeners")) { // Kafka looks whether all are plaintext (KIP-631)
		if !strings.Contains(listener, ":") {
			return nil, "Unable to parse a listener name from " + listener
		}
	}
	for _, controller := range items(v.Text("controller.listener.names")) {
		if _, has := of[strings.ToUpper(controller)]; !has {
			of[strings.ToUpper(controller)] = "PLAINTEXT"
		}
	}
	return of, ""
}

// pairs are the items of "a:b,c:d". What is wrong with them is said in the words of Java's substring.
func (v Values) pairs(name string) (out [][2]string, says string) {
	text := strings.TrimRight(v.Text(name), ", ")
	if text == "" {
		return nil, ""
	}
	for _, item := range items(text) {
		at := strings.LastIndex(item, ":")
		if at < 0 {
			return nil, fmt.Sprintf("Error parsing configuration property '%s': begin 0, end -1, length %d", name, len(item))
		}
		out = append(out, [2]string{strings.TrimSpace(item[:at]), strings.TrimSpace(item[at+1:])})
	}
	return out, ""
}

// endpoints reads listeners: each has a name of its own, a protocol for it, and a port of its own.
func endpoints(listeners []string, protocols map[string]string) (out []endpoint, says string) {
	list := "[" + strings.Join(listeners, ", ") + "]"
	bad := func(says string) ([]endpoint, string) {
		return nil, fmt.Sprintf("Error creating broker listeners from '%s': %s", list, says)
	}
	for _, listener := range listeners {
		e, says := endpointOf(listener, protocols)
		if says != "" {
			return bad(says)
		}
		out = append(out, e)
	}
	names := namesOf(out)
	slices.Sort(names)
	if len(slices.Compact(names)) < len(out) {
		return bad("Each listener must have a different name, listeners: " + list)
	}
	for _, e := range out {
		same := slices.DeleteFunc(slices.Clone(out), func(other endpoint) bool { return other.port != e.port })
		if says := samePort(same, list); says != "" {
			return bad(says)
		}
	}
	return out, ""
}

func endpointOf(listener string, protocols map[string]string) (e endpoint, says string) {
	form := endpointForm.FindStringSubmatch(listener)
	if form == nil {
		return e, fmt.Sprintf("Unable to parse %s to a broker endpoint", listener)
	}
	port, err := strconv.ParseInt(form[3], 10, 32)
	e = endpoint{strings.ToUpper(form[1]), form[2], int(port)}
	switch {
	case e.name == "":
		says = "The provided listener name is null or empty string"
	case err != nil:
		says = notInt(form[3])
	case protocols[e.name] == "":
		says = "No security protocol defined for listener " + e.name
	}
	return e, says
}

// samePort refuses listeners at one port, but for an address of IPv4 beside one of IPv6 (KAFKA-12398).
func samePort(same []endpoint, list string) string {
	if len(same) < 2 || same[0].port == 0 {
		return ""
	}
	const must, unless = "Each listener must have a different port", " unless exactly one listener has an IPv4 address and the other IPv6 address"
	var v4, v6 int
	for _, e := range same {
		if strings.Contains(e.host, ":") {
			v6++
		} else if dotted.MatchString(e.host) {
			v4++
		}
	}
	at, named := fmt.Sprintf(", listeners: %s, port: %d", list, same[0].port), len(same)-v4-v6
	switch {
	case named > 1:
		return must + ", listeners: " + list
	case v4+v6 != 2:
		return must + unless + at
	case v4 != 1 || named > 0:
		return "If you have two listeners on the same port then one needs to be IPv4 and the other IPv6" + at
	}
	return ""
}

var dotted = regexp.MustCompile(`^\d+\.\d+\.\d+\.\d+$`)

func namesOf(points []endpoint) (names []string) {
	for _, e := range points {
		names = append(names, e.name)
	}
	return names
}

// controllerListeners: a controller listens under one of controller.listener.names, and a node that is
// only a broker under none of them, though it must know their protocol (KIP-631).
func (v Values) controllerListeners(names []string, protocols map[string]string) string {
	roles, of := items(v.Text("process.roles")), items(v.Text("controller.listener.names"))
	listens := slices.ContainsFunc(of, func(name string) bool { return slices.Contains(names, strings.ToUpper(name)) })
	switch isController := slices.Contains(roles, "controller"); {
	case len(roles) == 0: // a check of settings alone
	case isController && !listens:
		return "requirement failed: controller.listener.names must contain at least one value appearing in the 'listeners' configuration when running the KRaft controller role"
	case !isController && listens:
		return "requirement failed: controller.listener.names must not contain a value appearing in the 'listeners' configuration when running KRaft with just the broker role"
	}
	for _, name := range of {
		if protocols[strings.ToUpper(name)] == "" {
			return fmt.Sprintf("Controller listener with name %s defined in controller.listener.names not found in listener.security.protocol.map  (an explicit security mapping for each controller listener is required if listener.security.protocol.map is non-empty, or if there are security protocols other than PLAINTEXT in use)", strings.ToUpper(name))
		}
	}
	return ""
}

var hostForm = regexp.MustCompile(`^[0-9a-zA-Z\-%._:]*$`)

// overridesPerIP refuses limits of an address's connections that cannot be read, or of what is no address.
func overridesPerIP(v Values) string {
	const name = "max.connections.per.ip.overrides"
	pairs, says := v.pairs(name)
	var invalid []string
	for _, p := range pairs {
		if _, err := strconv.ParseInt(p[1], 10, 32); err != nil {
			return notInt(p[1])
		}
		if !hostForm.MatchString(p[0]) {
			invalid = append(invalid, p[0])
		}
	}
	if says == "" && invalid != nil {
		says = name + " contains invalid addresses : " + strings.Join(invalid, ",")
	}
	return says
}

// notInt is what Java's Integer.parseInt says.
func notInt(text string) string { return fmt.Sprintf("For input string: %q", text) }
