package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// manifest is what the file must have.
type manifest struct {
	deployment apps.Deployment
	service    core.Service
	budget     policy.PodDisruptionBudget
}

const kubernetesFile = "deploy/kubernetes.yaml"

// checkKubernetes reads the manifest into the types of the API.
func checkKubernetes(context.Context) error {
	text, err := os.ReadFile(kubernetesFile)
	if err != nil {
		return err
	}
	var m manifest
	kinds := map[string]any{"Deployment": &m.deployment, "Service": &m.service, "PodDisruptionBudget": &m.budget}
	for document := range bytes.SplitSeq(text, []byte("\n---\n")) {
		if err := decode(document, kinds); err != nil {
			return fmt.Errorf("%s: %w", kubernetesFile, err)
		}
	}
	if len(kinds) > 0 {
		return fmt.Errorf("%s: missing: %v", kubernetesFile, slices.Sorted(maps.Keys(kinds)))
	}
	holds("kubernetes: the API's types take it, strictly")
	for _, check := range []func(manifest) error{kubernetesPod, kubernetesProbes, kubernetesSecrets, kubernetesStop, kubernetesNames} {
		if err := check(m); err != nil {
			return fmt.Errorf("%s: %w", kubernetesFile, err)
		}
	}
	return nil
}

// decode reads one document into the type of its kind, and removes the kind from those that are missing. As in the API
// server's strict mode, a field that the type does not have, in just this spelling, is an error.
func decode(document []byte, kinds map[string]any) error {
	asJSON, err := yaml.YAMLToJSONStrict(document)
	if err != nil {
		return err
	}
	var head meta.TypeMeta
	if err := yaml.Unmarshal(document, &head); err != nil {
		return err
	}
	target, ok := kinds[head.Kind]
	if !ok {
		return fmt.Errorf("%s: twice, or not known here", head.Kind)
	}
	delete(kinds, head.Kind)
	versions := map[string]string{"Deployment": "apps/v1", "Service": "v1", "PodDisruptionBudget": "policy/v1"}
	if head.APIVersion != versions[head.Kind] {
		return fmt.Errorf("%s: apiVersion is %q", head.Kind, head.APIVersion)
	}
	strict, err := kjson.UnmarshalStrict(asJSON, target)
	return errors.Join(append(strict, err)...)
}

func kubernetesPod(m manifest) error {
	pod := m.deployment.Spec.Template.Spec
	if len(pod.Containers) != 1 {
		return fmt.Errorf("%d containers", len(pod.Containers))
	}
	c := pod.Containers[0]
	podContext, own := pod.SecurityContext, c.SecurityContext
	if podContext == nil || own == nil || own.Capabilities == nil || podContext.SeccompProfile == nil {
		return errors.New("no security context")
	}
	if err := first(
		need(is(podContext.RunAsNonRoot, true) && is(podContext.RunAsUser, 65532), "it may run as root"),
		need(podContext.SeccompProfile.Type == core.SeccompProfileTypeRuntimeDefault, "no seccomp profile"),
		need(is(own.ReadOnlyRootFilesystem, true), "its root file system can be written"),
		need(is(own.AllowPrivilegeEscalation, false), "it may gain privileges"),
		need(slices.Equal(own.Capabilities.Drop, []core.Capability{"ALL"}) && len(own.Capabilities.Add) == 0, "it has capabilities"),
		need(is(pod.AutomountServiceAccountToken, false), "it has a token of the cluster"),
		need(is(pod.EnableServiceLinks, false), "the Service's variables get into its environment"),
		need(c.Resources.Limits.Memory().String() == "256Mi" && !c.Resources.Requests.Memory().IsZero(), "no limit of memory"),
	); err != nil {
		return err
	}
	holds("kubernetes: not root, read-only root, no capability, no token, 256Mi")
	return nil
}

func kubernetesProbes(m manifest) error {
	c := m.deployment.Spec.Template.Spec.Containers[0]
	for name, probe := range map[string]*core.Probe{"startup": c.StartupProbe, "liveness": c.LivenessProbe, "readiness": c.ReadinessProbe} {
		want := "/healthz"
		if name == "readiness" {
			want = "/readyz"
		}
		if probe == nil || probe.HTTPGet == nil {
			return fmt.Errorf("no %s probe", name)
		}
		if err := first(
			need(probe.HTTPGet.Path == want, "%s probe asks %s", name, probe.HTTPGet.Path),
			need(port(c, probe.HTTPGet.Port) == 5000, "%s probe asks port %s", name, probe.HTTPGet.Port.String()),
			need(probe.TimeoutSeconds <= probe.PeriodSeconds || name == "startup", "%s probe: the timeout is longer than the period", name),
		); err != nil {
			return err
		}
	}
	grace := c.ReadinessProbe.PeriodSeconds * c.ReadinessProbe.FailureThreshold
	if grace != 30 {
		return fmt.Errorf("an outage of the database makes all pods unready after %d s, and known sessions go on for 30 s", grace)
	}
	holds("kubernetes: probes ask /healthz and /readyz on port 5000; unready after 30 s")
	return nil
}

// kubernetesSecrets makes sure that secrets are files of the Secret, and that no variable holds one.
func kubernetesSecrets(m manifest) error {
	pod := m.deployment.Spec.Template.Spec
	c := pod.Containers[0]
	if len(pod.Volumes) != 1 || len(c.VolumeMounts) != 1 || pod.Volumes[0].Secret == nil {
		return errors.New("there is more to mount than one Secret")
	}
	volume, mount := pod.Volumes[0], c.VolumeMounts[0]
	var files []string
	for _, e := range c.Env {
		switch {
		case secretPath(e.Name):
			if path.Dir(e.Value) != mount.MountPath {
				return fmt.Errorf("%s is not in %s", e.Name, mount.MountPath)
			}
			files = append(files, path.Base(e.Value))
		case e.Name == "SHERPA_SECRET_KEY" || e.Name == "SHERPA_DATABASE_URL":
			return fmt.Errorf("%s holds a secret", e.Name)
		}
	}
	if err := first(
		need(volume.Name == mount.Name && mount.ReadOnly, "volume %s is not mounted read-only", volume.Name),
		need(volume.Secret.SecretName == "sherpa" && len(volume.Secret.Items) == 0, "the Secret is not sherpa, whole"),
		need(is(volume.Secret.DefaultMode, 0o440) && is(pod.SecurityContext.FSGroup, 65532), "the Secret's files are not for user 65532 alone"),
		need(slices.Equal(slices.Sorted(slices.Values(files)), []string{"database-url", "signing-keys"}), "files of the Secret: %v", files),
	); err != nil {
		return err
	}
	holds("kubernetes: the settings name the Secret's files, which are mounted read-only")
	return nil
}

func kubernetesStop(m manifest) error {
	pod := m.deployment.Spec.Template.Spec
	environment := map[string]string{}
	for _, e := range pod.Containers[0].Env {
		environment[e.Name] = e.Value
	}
	total, delay, err := stopping(environment)
	if err != nil {
		return err
	}
	rolling := m.deployment.Spec.Strategy.RollingUpdate
	if rolling == nil || rolling.MaxUnavailable == nil || rolling.MaxSurge == nil {
		return errors.New("no rolling update")
	}
	if err := first(
		need(delay > 0, "no SHERPA_SHUTDOWN_DELAY"),
		need(pod.TerminationGracePeriodSeconds != nil && float64(*pod.TerminationGracePeriodSeconds) > total.Seconds(), "killed before it has stopped, which takes up to %v", total),
		need(is(m.deployment.Spec.Replicas, 2), "not two replicas"),
		need(*rolling.MaxUnavailable == intstr.FromInt32(0) && *rolling.MaxSurge == intstr.FromInt32(1), "an update takes a replica away first"),
		need(m.budget.Spec.MinAvailable != nil && *m.budget.Spec.MinAvailable == intstr.FromInt32(1), "no replica must stay"),
	); err != nil {
		return err
	}
	holds("kubernetes: two replicas, updated and stopped one after the other, with time to finish")
	return nil
}

// kubernetesNames follows the labels and names by which the objects find one another.
func kubernetesNames(m manifest) error {
	template := m.deployment.Spec.Template
	selectors := map[string]map[string]string{
		"Deployment": m.deployment.Spec.Selector.MatchLabels,
		"Service":    m.service.Spec.Selector,
	}
	if m.budget.Spec.Selector != nil {
		selectors["PodDisruptionBudget"] = m.budget.Spec.Selector.MatchLabels
	}
	for i, spread := range template.Spec.TopologySpreadConstraints {
		selectors[fmt.Sprint("spread ", i)] = spread.LabelSelector.MatchLabels
	}
	if len(selectors) != 4 {
		return fmt.Errorf("%d selectors", len(selectors))
	}
	for name, labels := range selectors {
		if !maps.Equal(labels, template.Labels) {
			return fmt.Errorf("%s does not select the pods", name)
		}
	}
	c := template.Spec.Containers[0]
	if len(m.service.Spec.Ports) != 1 || port(c, m.service.Spec.Ports[0].TargetPort) != 5000 {
		return errors.New("the Service does not lead to port 5000")
	}
	if !slices.ContainsFunc(c.Env, func(e core.EnvVar) bool { return e.Name == "SHERPA_LISTEN" && strings.HasSuffix(e.Value, ":5000") }) {
		return errors.New("SHERPA_LISTEN is not on port 5000")
	}
	holds("kubernetes: the Service, the budget and the spread select the pods, on port 5000")
	return nil
}

// port returns the container's port of this number or name, or 0.
func port(c core.Container, wanted intstr.IntOrString) int32 {
	for _, p := range c.Ports {
		if wanted == intstr.FromInt32(p.ContainerPort) || wanted == intstr.FromString(p.Name) {
			return p.ContainerPort
		}
	}
	return 0
}

func is[T comparable](value *T, want T) bool { return value != nil && *value == want }
