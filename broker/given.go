package broker

import (
	"fmt"
	"maps"
	"path"
	"strings"

	"github.com/ktrial/ktrial/broker/server"
)

// given is the configuration that a broker was started with, as a file would have
// it: the settings of all nodes, and what distinguishes this one.
func (n *Node) given() map[string]string {
	out := n.cfg.Settings.Given()
	if out == nil {
		out = map[string]string{}
	}
	maps.Copy(out, n.cfg.identity(n.host.Name()))
	out["log.dirs"] = server.AbsolutePath(n.host, n.cfg.DataDir)
	return out
}

// controllerListener is controller.listener.names.
const controllerListener = "CONTROLLER"

// identity is what distinguishes a node from the others of its cluster, by Kafka's
// names: those that GivenByShape has.
func (c *Config) identity(host string) map[string]string {
	var voters, roles, listeners []string
	for _, v := range c.Voters {
		voters = append(voters, fmt.Sprintf("%d@%s", v.ID, v.Addr))
	}
	listen := func(role, name string, port int) {
		roles, listeners = append(roles, role), append(listeners, fmt.Sprintf("%s://:%d", name, port))
	}
	if c.Roles.Has(BrokerRole) {
		listen("broker", server.ListenerName, c.Port)
	}
	if c.Roles.Has(ControllerRole) {
		listen("controller", controllerListener, c.ControllerPort)
	}
	advertised := c.Advertised
	if advertised == "" {
		advertised = fmt.Sprintf("%s:%d", host, c.Port)
	}
	out := map[string]string{
		"node.id": fmt.Sprint(c.NodeID), "broker.id": fmt.Sprint(c.NodeID),
		"process.roles": strings.Join(roles, ","), "log.dirs": path.Join("/", c.DataDir),
		"controller.listener.names": controllerListener, "controller.quorum.voters": strings.Join(voters, ","),
		"listeners": strings.Join(listeners, ","), "advertised.listeners": server.ListenerName + "://" + advertised,
		"listener.security.protocol.map": server.ListenerName + ":PLAINTEXT," + controllerListener + ":PLAINTEXT",
	}
	if c.Rack != "" {
		out["broker.rack"] = c.Rack
	}
	return out
}
