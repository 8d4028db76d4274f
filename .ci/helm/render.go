// Renders a chart like `helm template`, with Helm's template engine and functions, and writes
// {"values": …, "documents": …, "notes": …} as JSON. Dependencies, hooks and lookup, which the chart does not use, are not
// supported.
//
//	GO111MODULE=off GOPATH=/usr/share/gocode go run .ci/helm/render.go deploy/helm/chat values.yaml
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig"
	"sigs.k8s.io/yaml"
)

type object = map[string]interface{}

type files string

// Get implements .Files.Get: it returns the text of a file of the chart, or "" if there is no such file.
func (chart files) Get(name string) string {
	text, err := os.ReadFile(filepath.Join(string(chart), name))
	if err != nil {
		return ""
	}
	return string(text)
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("usage: render chart values.yaml")
	}
	chart := os.Args[1]
	values := merge(read(filepath.Join(chart, "values.yaml")), read(os.Args[2]))
	metadata := object{}
	for name, value := range read(filepath.Join(chart, "Chart.yaml")) {
		metadata[strings.ToUpper(name[:1])+name[1:]] = value
	}
	data := object{
		"Values":       values,
		"Chart":        metadata,
		"Files":        files(chart),
		"Release":      object{"Name": "chat", "Namespace": "default", "Service": "Helm", "IsInstall": true, "IsUpgrade": false, "Revision": 1},
		"Capabilities": object{"KubeVersion": object{"Version": "v1.30.0"}},
		"Template":     object{"BasePath": "chat/templates"},
	}

	all := template.New("chat").Option("missingkey=zero")
	all.Funcs(functions(all))
	names, err := filepath.Glob(filepath.Join(chart, "templates", "*"))
	must(err)
	for _, name := range names {
		text, err := os.ReadFile(name)
		must(err)
		_, err = all.New(filepath.Base(name)).Parse(string(text))
		must(err)
	}

	documents, notes := object{}, ""
	for _, name := range names {
		name = filepath.Base(name)
		if strings.HasPrefix(name, "_") {
			continue
		}
		var text strings.Builder
		must(all.ExecuteTemplate(&text, name, data))
		rendered := strings.ReplaceAll(text.String(), "<no value>", "")
		if name == "NOTES.txt" {
			notes = rendered
		} else if strings.TrimSpace(rendered) != "" {
			documents[name] = rendered
		}
	}
	must(json.NewEncoder(os.Stdout).Encode(object{"values": values, "documents": documents, "notes": notes}))
}

func functions(all *template.Template) template.FuncMap {
	known := sprig.TxtFuncMap()
	// As in Helm: a chart has no access to the environment.
	delete(known, "env")
	delete(known, "expandenv")
	known["include"] = func(name string, data interface{}) (string, error) {
		var text strings.Builder
		err := all.ExecuteTemplate(&text, name, data)
		return text.String(), err
	}
	known["toYaml"] = func(value interface{}) (string, error) {
		text, err := yaml.Marshal(value)
		return strings.TrimSuffix(string(text), "\n"), err
	}
	known["fromYaml"] = func(text string) (object, error) {
		value := object{}
		err := yaml.Unmarshal([]byte(text), &value)
		return value, err
	}
	known["required"] = func(message string, value interface{}) (interface{}, error) {
		if value == nil || value == "" {
			return nil, errors.New(message)
		}
		return value, nil
	}
	known["fail"] = func(message string) (string, error) { return "", errors.New(message) }
	return known
}

// merge overlays base with override, recursively; a null removes a value.
func merge(base, override object) object {
	for name, value := range override {
		inner, isMap := value.(object)
		if existing, wasMap := base[name].(object); isMap && wasMap {
			base[name] = merge(existing, inner)
		} else if value == nil {
			delete(base, name)
		} else {
			base[name] = value
		}
	}
	return base
}

func read(name string) object {
	text, err := os.ReadFile(name)
	must(err)
	value := object{}
	must(yaml.UnmarshalStrict(text, &value))
	return value
}

func must(err error) {
	if err != nil {
		log.Fatal(fmt.Errorf("render: %w", err))
	}
}
