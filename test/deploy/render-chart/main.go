// Renders a Helm chart as `helm template` does, for tests: Debian has no helm. The engine is Helm's own, Go's
// text/template with sprig; what Helm adds to it is below. Of charts it knows what ours uses: no dependencies, no
// hooks, no look-ups in a cluster, no post-processing.
//
//	render-chart CHART RELEASE NAMESPACE < values.yaml (the values of the user; may be empty)
//
// Prints the documents by the names of their files, each behind "# Source: …", and NOTES.txt last, as a comment.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig"
	"gopkg.in/yaml.v2"
)

type object = map[string]interface{}

// As Helm reads YAML: by way of JSON, so that every number is a float64 and every key a string.
func readYaml(text []byte) object {
	var tree interface{}
	check(yaml.Unmarshal(text, &tree))
	encoded, err := json.Marshal(stringKeys(tree))
	check(err)
	result := object{}
	check(json.Unmarshal(encoded, &result))
	return result
}

// As Helm writes YAML: by way of JSON too, keys in order, lists not indented, no newline at the end.
func toYaml(value interface{}) string {
	encoded, err := json.Marshal(value)
	check(err)
	var tree interface{}
	check(yaml.Unmarshal(encoded, &tree))
	text, err := yaml.Marshal(tree)
	check(err)
	return strings.TrimSuffix(string(text), "\n")
}

func stringKeys(tree interface{}) interface{} {
	switch node := tree.(type) {
	case map[interface{}]interface{}:
		result := object{}
		for key, value := range node {
			result[fmt.Sprint(key)] = stringKeys(value)
		}
		return result
	case []interface{}:
		for index, value := range node {
			node[index] = stringKeys(value)
		}
	}
	return tree
}

// Maps are merged, everything else is replaced, null removes.
func merge(defaults, own object) object {
	for key, value := range own {
		below, bothMaps := defaults[key].(object)
		over, isMap := value.(object)
		if value == nil {
			delete(defaults, key)
		} else if bothMaps && isMap {
			defaults[key] = merge(below, over)
		} else {
			defaults[key] = value
		}
	}
	return defaults
}

func functions(root *template.Template) template.FuncMap {
	result := sprig.TxtFuncMap()
	delete(result, "env")
	delete(result, "expandenv")
	result["toYaml"] = toYaml
	result["include"] = func(name string, data interface{}) (string, error) {
		var text bytes.Buffer
		err := root.ExecuteTemplate(&text, name, data)
		return text.String(), err
	}
	result["required"] = func(message string, value interface{}) (interface{}, error) {
		if value == nil || value == "" {
			return nil, fmt.Errorf("%s", message)
		}
		return value, nil
	}
	return result
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func read(parts ...string) []byte {
	text, err := os.ReadFile(filepath.Join(parts...))
	check(err)
	return text
}

func main() {
	if len(os.Args) != 4 {
		check(fmt.Errorf("usage: render-chart CHART RELEASE NAMESPACE < values.yaml"))
	}
	folder, release, namespace := os.Args[1], os.Args[2], os.Args[3]
	own, err := io.ReadAll(os.Stdin)
	check(err)
	about := object{}
	for key, value := range readYaml(read(folder, "Chart.yaml")) {
		about[strings.ToUpper(key[:1])+key[1:]] = value
	}
	data := object{
		"Chart":   about,
		"Release": object{"Name": release, "Namespace": namespace, "Service": "Helm", "IsInstall": true, "Revision": 1},
		"Values":  merge(readYaml(read(folder, "values.yaml")), readYaml(own)),
	}

	root := template.New("chart").Option("missingkey=zero")
	root.Funcs(functions(root))
	paths, err := filepath.Glob(filepath.Join(folder, "templates", "*"))
	check(err)
	sort.Slice(paths, func(a, b int) bool {
		notesA, notesB := strings.HasSuffix(paths[a], ".txt"), strings.HasSuffix(paths[b], ".txt")
		return notesA != notesB && notesB || notesA == notesB && paths[a] < paths[b]
	})
	for _, path := range paths {
		_, err := root.New(path).Parse(string(read(path)))
		check(err)
	}
	for _, path := range paths {
		if strings.HasPrefix(filepath.Base(path), "_") {
			continue
		}
		var text bytes.Buffer
		check(root.ExecuteTemplate(&text, path, data))
		rendered := strings.Trim(text.String(), "\n")
		if strings.TrimSpace(rendered) == "" {
			continue
		}
		if strings.HasSuffix(path, ".txt") {
			rendered = regexp.MustCompile(`(?m)^(.+)$`).ReplaceAllString(rendered, "# $1")
		}
		// Helm prints nil as "<no value>" and takes it out again.
		rendered = strings.ReplaceAll(rendered, "<no value>", "")
		fmt.Printf("---\n# Source: %s\n%s\n", filepath.Join(filepath.Base(folder), "templates", filepath.Base(path)), rendered)
	}
}
