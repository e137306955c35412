package command

import (
	"os"
	"runtime"
	"strconv"
	"strings"

	"sherpa/security"
)

// spareProcs is how many threads there are beside one for each core, so that a request need not wait for the scheduler to take a core
// from a password hash: the system's scheduler does that sooner. An operator's GOMAXPROCS wins.
const spareProcs = 1

// ballastSize makes the garbage collector run less often while the heap is small. The memory is never touched, so that
// the system never provides it.
const ballastSize = 48 << 20

// tune fits Go's runtime to this service: a twentieth less processor time for a request, and requests that stay quick
// while passwords are hashed. Keep what it returns alive.
func tune(lookup func(string) (string, bool)) (ballast []byte) {
	if _, chosen := lookup("GOMAXPROCS"); !chosen {
		runtime.GOMAXPROCS(cores() + spareProcs)
	}
	return make([]byte, ballastSize)
}

// cores is how many this process may use: Go's default heeds the limit of a container, which NumCPU does not know.
func cores() int { return min(runtime.NumCPU(), runtime.GOMAXPROCS(0)) }

func newHasher() *security.Hasher {
	return security.NewHasher(security.DefaultHashParams(), hashSlots(cores(), memoryLimit()))
}

const (
	// hashMemory is what each hash under way takes, the garbage of those before included.
	hashMemory = 64 << 20
	// otherMemory is for everything else: caches that are full, requests.
	otherMemory = 128 << 20
)

// hashSlots is how many passwords are hashed at a time: one on each core, and no more than the memory holds, where it
// is limited (limit in bytes, 0 for none). A small container on a large machine would else be killed by a burst of logins.
func hashSlots(cores int, limit int64) int {
	if limit <= 0 {
		return cores
	}
	return max(1, min(cores, int((limit-otherMemory)/hashMemory)))
}

// memoryLimit is the container's, in bytes, or 0 (Linux, control groups version 2 and 1).
func memoryLimit() int64 {
	for _, path := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
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
