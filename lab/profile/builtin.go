package profile

import (
	"embed"
	"strings"
)

// A profile that comes with ktrial is a file of this folder, named after it.
//
//go:embed profiles/*.json
var files embed.FS

// BuiltIn names the profiles that come with ktrial.
func BuiltIn() (names []string) {
	entries, err := files.ReadDir("profiles")
	if err != nil {
		panic("profile: the embedded profiles cannot be listed: " + err.Error())
	}
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".json"))
	}
	return names
}

// builtIn is the profile of that name, or nil.
func builtIn(name string) *Profile {
	text, err := files.ReadFile("profiles/" + name + ".json")
	if err != nil {
		return nil
	}
	p, err := Parse(text)
	if err != nil {
		panic("profile: an embedded profile cannot be read: " + err.Error())
	}
	return p
}
