package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

const (
	composeFile  = "compose.yaml"
	proxyName    = "proxy"
	databaseName = "database"
	replicaNames = "sherpa-"
)

// checkCompose loads the file with Docker Compose's own loader, which refuses what the specification does not have.
func checkCompose(ctx context.Context) error {
	options, err := cli.NewProjectOptions([]string{composeFile})
	if err != nil {
		return err
	}
	project, err := options.LoadProject(ctx)
	if err != nil {
		return err
	}
	holds("compose: Compose's loader takes it; services %s", strings.Join(project.ServiceNames(), ", "))
	for _, check := range []func(*types.Project) error{composeLimits, composeNetworks, composeSecrets, composeReplicas, composeProxy} {
		if err := check(project); err != nil {
			return fmt.Errorf("%s: %w", composeFile, err)
		}
	}
	return nil
}

func composeLimits(project *types.Project) error {
	for name, s := range project.Services {
		if err := first(
			need(s.ReadOnly, "%s: its root file system can be written", name),
			need(slices.Equal(s.CapDrop, []string{"ALL"}) && len(s.CapAdd) == 0 && !s.Privileged, "%s has capabilities", name),
			need(slices.Contains(s.SecurityOpt, "no-new-privileges:true"), "%s may gain privileges", name),
			need(s.MemLimit > 0 && s.PidsLimit > 0, "%s has no limit of memory or processes", name),
			need(s.Restart == types.RestartPolicyUnlessStopped, "%s does not come back", name),
		); err != nil {
			return err
		}
	}
	holds("compose: every service has a read-only root, no capability, no new privileges, limits, and comes back")
	return nil
}

func composeNetworks(project *types.Project) error {
	for name, s := range project.Services {
		if name != proxyName && len(s.Ports) > 0 {
			return fmt.Errorf("%s publishes a port", name)
		}
	}
	ports := project.Services[proxyName].Ports
	if len(ports) != 1 || ports[0].HostIP != "127.0.0.1" {
		return fmt.Errorf("%s does not publish one port on 127.0.0.1", proxyName)
	}
	for network := range project.Services[databaseName].Networks {
		if err := first(
			need(project.Networks[network].Internal, "%s can reach the world by %s", databaseName, network),
			need(!has(project.Services[proxyName].Networks, network), "%s can reach %s", proxyName, databaseName),
		); err != nil {
			return err
		}
	}
	holds("compose: one port, the proxy's, on 127.0.0.1; the database is where the proxy and the world are not")
	return nil
}

// composeSecrets makes sure that secrets are files, and that no variable holds one.
func composeSecrets(project *types.Project) error {
	for name, s := range project.Services {
		var mounted []string
		for _, secret := range s.Secrets {
			source := project.Secrets[secret.Source]
			if !strings.HasPrefix(source.File, filepath.Join(project.WorkingDir, "secrets")+"/") {
				return fmt.Errorf("secret %s is not a file in secrets/", secret.Source)
			}
			mounted = append(mounted, "/run/secrets/"+secret.Source)
		}
		for variable, value := range s.Environment {
			secretName := regexp.MustCompile(`PASSWORD|SECRET|KEY|DATABASE_URL`).MatchString(variable)
			if err := first(
				need(!secretName || secretPath(variable), "%s: %s holds a secret", name, variable),
				need(!secretPath(variable) || value != nil && slices.Contains(mounted, *value), "%s: %s is no secret that is mounted", name, variable),
			); err != nil {
				return err
			}
		}
	}
	holds("compose: secrets are files in secrets/, and the variables name them where they are mounted")
	return nil
}

func composeReplicas(project *types.Project) error {
	proxy, err := os.ReadFile(proxyFile)
	if err != nil {
		return err
	}
	var replicas []string
	for name, s := range project.Services {
		if !strings.HasPrefix(name, replicaNames) {
			continue
		}
		replicas = append(replicas, name)
		if err := first(
			need(s.Build != nil && s.Build.Context == project.WorkingDir, "%s is not built from here", name),
			need(s.DependsOn[databaseName].Condition == types.ServiceConditionHealthy, "%s does not wait for the database", name),
			checkStop(s, string(proxy)),
			checkTrust(project, s),
		); err != nil {
			return err
		}
	}
	if len(replicas) < 2 {
		return fmt.Errorf("%d replica", len(replicas))
	}
	holds("compose: %d replicas wait for the database, believe the proxy alone, and stop when the proxy knows of it", len(replicas))
	return nil
}

// checkStop compares the times of a stop with one another, and with how soon the proxy notices it.
func checkStop(s types.ServiceConfig, proxy string) error {
	total, delay, err := stopping(s.Environment.Resolve(func(string) (string, bool) { return "", false }).ToMapping())
	if err != nil {
		return fmt.Errorf("%s: %w", s.Name, err)
	}
	every, err := proxyTime(proxy, "inter")
	if err != nil {
		return err
	}
	answer, err := proxyTime(proxy, "timeout check")
	if err != nil {
		return err
	}
	return first(
		need(s.StopGracePeriod != nil && time.Duration(*s.StopGracePeriod) > total, "%s is killed before it has stopped, which takes up to %v", s.Name, total),
		need(delay > every+answer, "%s: the proxy may need %v to notice a stop, and SHERPA_SHUTDOWN_DELAY is %v", s.Name, every+answer, delay),
	)
}

// checkTrust makes sure that the proxies which a replica believes are in a network that it shares with the proxy.
func checkTrust(project *types.Project, s types.ServiceConfig) error {
	trusted := s.Environment["SHERPA_TRUSTED_PROXIES"]
	for network := range s.Networks {
		if !has(project.Services[proxyName].Networks, network) || trusted == nil {
			continue
		}
		for _, pool := range project.Networks[network].Ipam.Config {
			subnet, err := netip.ParsePrefix(pool.Subnet)
			if err == nil && subnet.Masked().String() == *trusted {
				return nil
			}
		}
	}
	return fmt.Errorf("%s: SHERPA_TRUSTED_PROXIES is not the network that it shares with the proxy", s.Name)
}

// composeProxy compares the proxy's service with its configuration.
func composeProxy(project *types.Project) error {
	proxy := project.Services[proxyName]
	text, err := os.ReadFile(proxyFile)
	if err != nil {
		return err
	}
	var named []string
	for _, match := range regexp.MustCompile(`"\$\{([A-Z_]+)`).FindAllStringSubmatch(string(text), -1) {
		value := proxy.Environment[match[1]]
		if value == nil {
			return fmt.Errorf("%s: no %s, which %s needs", proxyName, match[1], proxyFile)
		}
		name, port, _ := strings.Cut(*value, ":")
		if strings.HasPrefix(match[1], "REPLICA_") {
			_, exists := project.Services[name]
			if !exists || port != "5000" {
				return fmt.Errorf("%s: %s is no replica", proxyName, *value)
			}
			named = append(named, name)
		}
	}
	for _, name := range project.ServiceNames() {
		if strings.HasPrefix(name, replicaNames) && !slices.Contains(named, name) {
			return fmt.Errorf("%s does not know %s", proxyName, name)
		}
	}
	for _, v := range proxy.Volumes {
		if _, err := os.Stat(v.Source); err != nil || !v.ReadOnly {
			return fmt.Errorf("%s: %s is missing or not mounted read-only", proxyName, v.Source)
		}
	}
	longest, err := proxyTime(string(text), "hard-stop-after")
	if err != nil {
		return err
	}
	if err := first(
		need(proxy.HealthCheck != nil && project.Services[databaseName].HealthCheck != nil, "no health check of the proxy or the database"),
		need(proxy.StopGracePeriod != nil && time.Duration(*proxy.StopGracePeriod) > longest, "%s is killed before hard-stop-after", proxyName),
	); err != nil {
		return err
	}
	holds("compose: the proxy has its configuration, knows every replica, and may finish its requests")
	return nil
}

func has[V any](m map[string]V, key string) bool {
	_, ok := m[key]
	return ok
}
