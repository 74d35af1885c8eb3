package kubetest

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"k8s.io/kube-openapi/pkg/validation/strfmt"
	"k8s.io/kube-openapi/pkg/validation/validate"
)

var openapi = flag.String("openapi", "", "make testdata/openapi.json of the files in this `directory`")

const schemaFile = "testdata/openapi.json"

// kinds are those that the manifests use, by the file of their schemas.
var kinds = map[string][]string{
	"api__v1_openapi.json":          {"io.k8s.api.core.v1.Secret", "io.k8s.api.core.v1.Service", "io.k8s.api.core.v1.ServiceAccount"},
	"apis__apps__v1_openapi.json":   {"io.k8s.api.apps.v1.Deployment", "io.k8s.api.apps.v1.StatefulSet"},
	"apis__policy__v1_openapi.json": {"io.k8s.api.policy.v1.PodDisruptionBudget"},

	"apis__networking.k8s.io__v1_openapi.json":         {"io.k8s.api.networking.v1.NetworkPolicy"},
	"apis__rbac.authorization.k8s.io__v1_openapi.json": {"io.k8s.api.rbac.v1.Role", "io.k8s.api.rbac.v1.RoleBinding"},
}

// schemas are those of one document, by name.
type schemas map[string]*spec.Schema

func readSchemas(file string) (schemas, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var document struct{ Components struct{ Schemas schemas } }
	err = json.Unmarshal(text, &document)
	return document.Components.Schemas, err
}

const prefix = "#/components/schemas/"

// visit calls f for the schema and every one in it, references not followed.
func visit(s *spec.Schema, f func(*spec.Schema)) {
	if s == nil {
		return
	}
	f(s)
	for name, p := range s.Properties {
		visit(&p, f)
		s.Properties[name] = p
	}
	if s.Items != nil {
		visit(s.Items.Schema, f)
	}
	if s.AdditionalProperties != nil {
		visit(s.AdditionalProperties.Schema, f)
	}
	for _, list := range [][]spec.Schema{s.AllOf, s.AnyOf, s.OneOf} {
		for i := range list {
			visit(&list[i], f)
		}
	}
	visit(s.Not, f)
}

// trim copies what a schema needs to out, without descriptions.
func (all schemas) trim(name string, out schemas) {
	s := all[name]
	if s == nil || out[name] != nil {
		return
	}
	out[name] = s
	visit(s, func(s *spec.Schema) {
		s.Description, s.Example, s.ExternalDocs, s.Extensions = "", nil, nil, nil
		if to, ok := strings.CutPrefix(s.Ref.String(), prefix); ok {
			all.trim(to, out)
		}
	})
}

// resolve returns a schema with every reference replaced by what it refers to,
// and closed: a field that it does not name is refused. The kinds in use do not
// refer to themselves.
func (all schemas) resolve(name string) *spec.Schema {
	text, _ := json.Marshal(all[name])
	s := new(spec.Schema)
	_ = json.Unmarshal(text, s)
	visit(s, func(s *spec.Schema) {
		if to, ok := strings.CutPrefix(s.Ref.String(), prefix); ok {
			*s = *all.resolve(to)
		}
		if len(s.AllOf) == 1 && len(s.Properties) == 0 { // a reference with a default
			if to, ok := strings.CutPrefix(s.AllOf[0].Ref.String(), prefix); ok {
				*s = *all.resolve(to)
			}
		}
		if s.Format == "int-or-string" {
			*s = spec.Schema{SchemaProps: spec.SchemaProps{OneOf: []spec.Schema{*spec.Int32Property(), *spec.StringProperty()}}}
		}
		if len(s.Properties) > 0 && s.AdditionalProperties == nil {
			s.AdditionalProperties = &spec.SchemaOrBool{}
		}
	})
	return s
}

// validateSchema checks an object, as JSON decodes it, against the API's schema.
func (all schemas) validateSchema(kind schema.GroupVersionKind, object any) error {
	group := strings.TrimSuffix(strings.TrimSuffix(kind.Group, ".k8s.io"), ".authorization")
	if group == "" {
		group = "core"
	}
	name := fmt.Sprintf("io.k8s.api.%s.%s.%s", group, kind.Version, kind.Kind)
	if all[name] == nil {
		return fmt.Errorf("%s has no schema here: add it to kinds", name)
	}
	result := validate.NewSchemaValidator(all.resolve(name), nil, kind.Kind, strfmt.Default).Validate(object)
	return errors.Join(result.Errors...)
}

// TestSchemas makes the file anew where it is asked to, and looks whether it has
// every kind.
func TestSchemas(t *testing.T) {
	if *openapi != "" {
		out := schemas{}
		for file, names := range kinds {
			all, err := readSchemas(filepath.Join(*openapi, file))
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range names {
				all.trim(name, out)
			}
		}
		text, err := json.MarshalIndent(map[string]any{"components": map[string]any{"schemas": out}}, "", " ")
		if err == nil {
			err = os.WriteFile(schemaFile, append(text, '\n'), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	all, err := readSchemas(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, names := range kinds {
		for _, name := range names {
			if all[name] == nil {
				t.Errorf("no schema of %s", name)
			}
		}
	}
}
