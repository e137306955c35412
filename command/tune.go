package command

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

const (
	// spareProcs lets the kernel preempt a password hash, which it does sooner than Go's scheduler. Without
	// it, requests wait 70 ms behind hashes during a flood of logins, instead of 10 ms.
	spareProcs = 1
	// procsInterval is how often GOMAXPROCS follows a change of the container's CPU limit, as Go does by
	// default.
	procsInterval = 30 * time.Second
	// gcPercent makes the garbage collector run half as often as by default. More takes more than 256 MiB in
	// a flood of logins: each hash leaves 19 MiB behind.
	gcPercent = 200
	// heapFloor counts as memory in use, and no page of it is ever touched. This service keeps about 2 MiB
	// alive, so without it the garbage collector would run 25 times a second under load, and stop all
	// requests for a millisecond each time. With it, it runs 5 times a second.
	heapFloor = 12 * mib

	mib = 1 << 20
	// hashMemory is what each running hash takes, with the garbage of those before it.
	hashMemory = 64 * mib
	// otherDescriptors is how many files and connections the process needs for everything but its clients,
	// above all for the database.
	otherDescriptors = 40
	// mostConnections is how many connections the default allows at most: each takes about 20 KiB.
	mostConnections = 10_000

	// otherMemory is for everything else: full caches, requests.
	otherMemory = 128 * mib
)

// tune adapts Go's runtime to this service, and returns work for the background that keeps it so. An
// operator's GOMAXPROCS, GOGC and GOMEMLIMIT win.
func tune(config *Config) func(context.Context) {
	floor := adaptMemory(config)
	return func(ctx context.Context) {
		defer runtime.KeepAlive(floor)
		if !config.isSet("GOMAXPROCS") {
			addSpareProcs(ctx)
		}
		<-ctx.Done()
	}
}

// adaptMemory returns what must be kept alive while the server runs.
func adaptMemory(config *Config) (floor []byte) {
	if !config.isSet("GOGC") {
		debug.SetGCPercent(gcPercent)
		floor = make([]byte, heapFloor)
	}
	if container := memoryLimit(); container > 0 && !config.isSet("GOMEMLIMIT") {
		debug.SetMemoryLimit(container / 10 * 9)
	}
	return floor
}

func (c *Config) isSet(variable string) bool {
	_, set := c.lookup(variable)
	return set
}

// addSpareProcs keeps GOMAXPROCS at Go's default and spareProcs more, until ctx ends. Setting it switches off
// Go's own updates, so it asks for the default again and again.
func addSpareProcs(ctx context.Context) {
	ticker := time.NewTicker(procsInterval)
	defer ticker.Stop()
	for {
		runtime.SetDefaultGOMAXPROCS()
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + spareProcs)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// maxConnections returns how many connections may be open: what the settings say, or what the limit
// of descriptors leaves (0 for none).
func maxConnections(setting int, limit uint64) int {
	switch {
	case setting > 0:
		return setting
	case limit == 0 || limit > mostConnections+otherDescriptors:
		return mostConnections
	}
	return int(max(limit/4, limit-min(limit, otherDescriptors), 1))
}

// cores is how many cores this process may use. Go's default respects the limit of a container; NumCPU does
// not.
func cores() int { return min(runtime.NumCPU(), runtime.GOMAXPROCS(0)) }

// hashSlots is how many passwords are hashed at a time: one for each core, and no more than fit into the
// container's memory (limit in bytes, 0 for none). Otherwise a burst of logins would kill a small container
// on a large machine.
func hashSlots(cores int, limit int64) int {
	if limit <= 0 {
		return cores
	}
	return max(1, min(cores, int((limit-otherMemory)/hashMemory)))
}

// memoryLimit returns that of the container in bytes, or 0 (Linux, control groups version 2 and 1).
func memoryLimit() int64 {
	const version2, version1 = "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"
	for _, path := range []string{version2, version1} {
		text, err := os.ReadFile(path) //nolint:gosec // G304: one of two constants
		if err != nil {
			continue
		}
		if limit, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil {
			return limit
		}
	}
	return 0
}
