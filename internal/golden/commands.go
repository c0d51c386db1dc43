package golden

import "strings"

// Command is a line of a story: a name, arguments, and options with a "=".
type Command struct {
	Name string
	Args []string
	Opts map[string]string
}

// Commands plays a story whose commands stand at the margin: empty lines and comments
// (#) are kept, and below each command comes what do says of it, indented. What stood there
// before is left out.
func Commands(text string, do func(Command) []string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "  ") {
			continue
		}
		out.WriteString(line + "\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		for _, said := range do(Parse(line)) {
			out.WriteString("  " + said + "\n")
		}
	}
	return out.String()
}

// Parse reads the line of a command, which has a name.
func Parse(line string) Command {
	fields := strings.Fields(line)
	c := Command{Name: fields[0], Opts: map[string]string{}}
	for _, f := range fields[1:] {
		if name, value, ok := strings.Cut(f, "="); ok {
			c.Opts[name] = value
		} else {
			c.Args = append(c.Args, f)
		}
	}
	return c
}
