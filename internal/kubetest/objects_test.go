package kubetest

import (
	"errors"
	"fmt"
	"slices"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	network "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	rbac "k8s.io/api/rbac/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"sigs.k8s.io/yaml"
)

// objects are what one kustomization makes.
type objects struct {
	secrets  map[string]*core.Secret
	accounts map[string]*core.ServiceAccount
	services map[string]*core.Service
	budgets  []*policy.PodDisruptionBudget
	pods     core.PodTemplateSpec
	selector *meta.LabelSelector
	set      *apps.StatefulSet // nil: a Deployment
	claims   []string          // volumes that the set makes
	networks []*network.NetworkPolicy
	roles    map[string]*rbac.Role
	bindings []*rbac.RoleBinding
}

// parse decodes documents strictly, and validates them against the schemas.
func parse(documents [][]byte, all schemas) (*objects, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{core.AddToScheme, apps.AddToScheme, policy.AddToScheme, network.AddToScheme, rbac.AddToScheme} {
		utilruntime.Must(add(scheme))
	}
	strict := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	o := &objects{secrets: map[string]*core.Secret{}, accounts: map[string]*core.ServiceAccount{}, services: map[string]*core.Service{}, roles: map[string]*rbac.Role{}}
	for _, text := range documents {
		object, kind, err := strict.Decode(text, nil, nil)
		if err != nil {
			return nil, fmt.Errorf("strict decoding: %w", err)
		}
		var plain any
		if err := yaml.Unmarshal(text, &plain); err != nil {
			return nil, err
		}
		if err := all.validateSchema(*kind, plain); err != nil {
			return nil, fmt.Errorf("schema of %s: %w", kind.Kind, err)
		}
		switch v := object.(type) {
		case *core.Secret:
			o.secrets[v.Name] = v
		case *core.ServiceAccount:
			o.accounts[v.Name] = v
		case *core.Service:
			o.services[v.Name] = v
		case *policy.PodDisruptionBudget:
			o.budgets = append(o.budgets, v)
		case *network.NetworkPolicy:
			o.networks = append(o.networks, v)
		case *rbac.Role:
			o.roles[v.Name] = v
		case *rbac.RoleBinding:
			o.bindings = append(o.bindings, v)
		case *apps.Deployment:
			o.pods, o.selector = v.Spec.Template, v.Spec.Selector
		case *apps.StatefulSet:
			o.pods, o.selector, o.set = v.Spec.Template, v.Spec.Selector, v
			for _, c := range v.Spec.VolumeClaimTemplates {
				o.claims = append(o.claims, c.Name)
			}
		default:
			return nil, fmt.Errorf("%s is not looked at: add it", kind.Kind)
		}
	}
	return o, nil
}

// closed returns what one object names and no other has.
func (o *objects) closed() error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	selects := func(what string, s *meta.LabelSelector) {
		selector, err := meta.LabelSelectorAsSelector(s)
		if err != nil || selector.Empty() || !selector.Matches(labels.Set(o.pods.Labels)) {
			problem("%s does not select the pods: %v", what, err)
		}
	}
	selects("the workload", o.selector)
	for _, b := range o.budgets {
		selects("the PodDisruptionBudget", b.Spec.Selector)
	}
	for _, s := range o.pods.Spec.TopologySpreadConstraints {
		selects("the spread", s.LabelSelector)
	}
	if len(o.pods.Spec.Containers) != 1 {
		return fmt.Errorf("%d containers", len(o.pods.Spec.Containers))
	}
	c := o.pods.Spec.Containers[0]
	hasPort := func(name string) bool {
		return slices.ContainsFunc(c.Ports, func(p core.ContainerPort) bool { return p.Name == name })
	}
	for name, s := range o.services {
		selects("service "+name, &meta.LabelSelector{MatchLabels: s.Spec.Selector})
		for _, p := range s.Spec.Ports {
			if !hasPort(p.TargetPort.StrVal) {
				problem("service %s leads to port %q, which no container has", name, p.TargetPort.String())
			}
		}
	}
	for _, p := range []*core.Probe{c.LivenessProbe, c.ReadinessProbe} {
		if p == nil || p.HTTPGet == nil || !hasPort(p.HTTPGet.Port.StrVal) {
			problem("a probe asks no port of the container: %v", p)
		}
	}
	for _, n := range o.networks {
		selects("the NetworkPolicy", &n.Spec.PodSelector)
		for _, rule := range n.Spec.Ingress {
			for _, from := range rule.From {
				selects("the NetworkPolicy's rule", from.PodSelector)
			}
			for _, p := range rule.Ports {
				if !hasPort(p.Port.StrVal) {
					problem("the NetworkPolicy lets in port %q, which no container has", p.Port.String())
				}
			}
		}
	}
	volumes := slices.Clone(o.claims)
	for _, v := range o.pods.Spec.Volumes {
		volumes = append(volumes, v.Name)
		if v.Secret != nil && o.secrets[v.Secret.SecretName] == nil {
			problem("no Secret %q", v.Secret.SecretName)
		}
	}
	for _, m := range c.VolumeMounts {
		if !slices.Contains(volumes, m.Name) {
			problem("no volume %q", m.Name)
		}
	}
	if o.accounts[o.pods.Spec.ServiceAccountName] == nil {
		problem("no ServiceAccount %q", o.pods.Spec.ServiceAccountName)
	}
	if o.set != nil && o.services[o.set.Spec.ServiceName] == nil {
		problem("no Service %q", o.set.Spec.ServiceName)
	}
	problems = append(problems, o.granted()...)
	for name, request := range c.Resources.Requests {
		if limit, ok := c.Resources.Limits[name]; ok && request.Cmp(limit) > 0 {
			problem("%s: the request is above the limit", name)
		}
	}
	return errors.Join(problems...)
}

// granted returns what the roles and their bindings name and nothing else has.
func (o *objects) granted() (problems []error) {
	for _, b := range o.bindings {
		if o.roles[b.RoleRef.Name] == nil {
			problems = append(problems, fmt.Errorf("no Role %q", b.RoleRef.Name))
		}
		for _, s := range b.Subjects {
			if s.Kind != rbac.ServiceAccountKind || o.accounts[s.Name] == nil {
				problems = append(problems, fmt.Errorf("no %s %q", s.Kind, s.Name))
			}
		}
	}
	for _, r := range o.roles {
		for _, rule := range r.Rules {
			if len(rule.ResourceNames) == 0 {
				problems = append(problems, fmt.Errorf("role %s grants all %v", r.Name, rule.Resources))
			}
			for _, name := range rule.ResourceNames {
				if o.secrets[name] == nil && !slices.Contains(o.podNames(), name) {
					problems = append(problems, fmt.Errorf("role %s is for %q, which is not there", r.Name, name))
				}
			}
		}
	}
	return problems
}

// podNames are those of a set's pods.
func (o *objects) podNames() (names []string) {
	for i := range 3 {
		if o.set != nil && i < int(*o.set.Spec.Replicas) {
			names = append(names, fmt.Sprintf("%s-%d", o.set.Name, i))
		}
	}
	return names
}
