//go:build unix

package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sherpa/command"
	"sherpa/internal/pgtest"
)

const (
	// mostWAL is four times the size at which SQLite copies its write-ahead log into the database, because a
	// reader may delay that.
	mostWAL = 16 << 20
	// moreHeap in MiB allows for rounding, and for maps, which never shrink.
	moreHeap = 4
	// moreThreads is how many threads Go may add when more calls than before block at the same time. It never
	// ends one.
	moreThreads = 8
)

// TestSoak lets clients of all kinds work for as long as SHERPA_SOAK says. Every answer must be right. At the
// end the process must use what it used after a fifth of that time.
func TestSoak(t *testing.T) {
	t.Parallel()
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(t.TempDir(), "sherpa.db")
		s := newSoak(t, "sqlite:"+file, "sqlite:"+filepath.Join(t.TempDir(), "sherpa.db"))
		s.wal = file + "-wal"
		s.run()
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		newSoak(t, pgtest.Database(t), pgtest.Database(t)).run()
	})
}

// soakLength is 3 s unless SHERPA_SOAK says otherwise.
func soakLength(t *testing.T) time.Duration {
	t.Helper()
	text, set := os.LookupEnv("SHERPA_SOAK")
	if !set {
		return 3 * time.Second
	}
	length, err := time.ParseDuration(text)
	if err != nil || length < time.Second {
		t.Fatalf("SHERPA_SOAK=%s is not a time such as 2m", text)
	}
	return length
}

type soak struct {
	*process
	length   time.Duration
	url      string
	wal      string // the path of SQLite's write-ahead log
	alarms   *alarms
	fresh    *process // for comparison, with a database of its own
	freshURL string
	clients  *crowd
}

// newSoak starts both processes. Their caches are small, so that they are full before the first measurement.
func newSoak(t *testing.T, url, freshURL string) *soak {
	t.Helper()
	s := &soak{length: soakLength(t), url: url, freshURL: freshURL, alarms: &alarms{}}
	settings := []string{
		traceCollections, "SHERPA_LOG_FORMAT=json", "SHERPA_CACHE_SIZE=100", "SHERPA_ACCESS_TTL=10s",
	}
	s.process = newReplica(t, url, settings...)
	s.fresh = newReplica(t, freshURL, settings...)
	s.out, s.fresh.out = s.alarms, &alarms{}
	s.start()
	s.fresh.start()
	addUsers(t, url, "ada", "bob", "eve")
	s.clients = newCrowd(t, s.process)
	s.clients.steady, s.clients.thorough = true, true
	s.clients.pace = 200 * time.Millisecond // about ten logins a second: a password takes 25 ms
	for _, name := range []string{"ada", "bob", "eve"} {
		s.clients.users = append(s.clients.users, identity{name, replicaPassword})
	}
	return s
}

func (s *soak) run() {
	s.load(s.length/5, false)
	warm := s.atRest()
	watched := s.load(s.length-s.length/5, true)
	if s.t.Failed() {
		s.clients.report()
		return // the clients have ended early, and the figures would mislead
	}
	end := s.atRest()
	s.t.Logf("%v of load, %d logins abandoned: %v", s.length, s.clients.hungUp.Load(), watched)
	s.t.Logf("at rest after %v: %v", s.length/5, warm)
	s.t.Logf("at rest at the end: %v", end)
	s.checkMemory(warm, end, watched)
	s.checkDescriptors(warm, end)
	s.checkTables(warm.rows, end.rows)
	s.checkLog()
	s.clients.check(s.process, s.url)
	s.checkGoroutines()
}

// load lets the clients work.
func (s *soak) load(length time.Duration, strangers bool) watch {
	s.t.Helper()
	s.clients.begin()
	transport := &http.Transport{MaxIdleConnsPerHost: 8}
	defer transport.CloseIdleConnections()
	s.clients.add(8, func() http.RoundTripper { return transport })
	if strangers {
		s.clients.addStrangers(s.process)
	}
	over := make(chan struct{})
	done := make(chan watch)
	go func() { done <- s.watch(s.t, max(length/200, 20*time.Millisecond), s.wal, over) }()
	for deadline := time.Now().Add(length); time.Now().Before(deadline) && !s.t.Failed(); {
		time.Sleep(20 * time.Millisecond) // they work meanwhile
	}
	close(over)
	watched := <-done
	s.clients.end()
	return watched
}

// usage is what the process uses when nobody asks it.
type usage struct {
	descriptors map[string]int
	threads     int64
	heap        int // MiB
	rows        map[string]int64
	bytes       int64 // of the database
}

func (u usage) String() string {
	return fmt.Sprintf("%d descriptors, %d threads, heap %d MiB, database %.1f MiB, rows %v",
		sum(u.descriptors), u.threads, u.heap, float64(u.bytes)/(1<<20), u.rows)
}

// atRest waits until no client is connected.
func (s *soak) atRest() (u usage) {
	s.t.Helper()
	u.heap = s.heap(s.t)
	s.leave(s.process, s.url)
	u.descriptors, u.threads = s.descriptors(s.t), s.status(s.t, "Threads")
	u.rows, u.bytes = s.tables()
	return u
}

// leave closes the connections of this process, and waits until the server has closed its side.
func (s *soak) leave(p *process, url string) {
	s.t.Helper()
	if transport, ok := http.DefaultTransport.(*http.Transport); ok {
		transport.CloseIdleConnections()
	}
	const listener = 1
	eventually(s.t, "all connections are closed", func() bool {
		return !hasProc() || p.descriptors(s.t)["socket"] == listener+s.databaseConnections(url)
	})
	time.Sleep(time.Second) // the goroutines of the connections end
}

func (s *soak) databaseConnections(url string) int {
	if s.onSQLite() {
		return 0
	}
	operator := pgtest.Connect(s.t, url)
	defer operator.Close(s.t.Context())
	return int(backends(s.t, operator, ours))
}

func (s *soak) onSQLite() bool { return s.wal != "" }

// tables is what `sherpa db status --json` says.
func (s *soak) tables() (rows map[string]int64, bytes int64) {
	s.t.Helper()
	var out strings.Builder
	std := silent()
	std.Out = &out
	env := []string{"SHERPA_DATABASE_URL=" + s.url}
	err := command.Run(s.t.Context(), []string{"db", "status", "--json"}, env, command.Build{}, std)
	if err != nil {
		s.t.Fatal(err)
	}
	var status struct {
		Bytes  int64
		Tables []struct {
			Table string
			Rows  int64
		}
	}
	if err := json.Unmarshal([]byte(out.String()), &status); err != nil {
		s.t.Fatal(err)
	}
	rows = map[string]int64{}
	for _, table := range status.Tables {
		rows[table.Table] = table.Rows
	}
	return rows, status.Bytes
}

// checkMemory allows for the garbage of hashes, 19 MiB each, when it compares the memory under load.
func (s *soak) checkMemory(warm, end usage, watched watch) {
	s.t.Helper()
	if end.heap > warm.heap+moreHeap {
		s.t.Errorf("the heap grew from %d to %d MiB", warm.heap, end.heap)
	}
	if early, late := watched.ends(); late > early*3/2+32 {
		s.t.Errorf("the memory under load grew from %d to %d MiB", early, late)
	}
	if watched.wal > mostWAL {
		s.t.Errorf("the write-ahead log had %d bytes", watched.wal)
	}
	if s.onSQLite() && watched.wal == 0 {
		s.t.Error("no write-ahead log was found: the test proves nothing")
	}
}

// checkDescriptors allows for connections to the database, which the program opens when it needs them.
func (s *soak) checkDescriptors(warm, end usage) {
	s.t.Helper()
	if !hasProc() {
		s.t.Log("SKIPPED: this system does not tell the memory, the descriptors and the threads of a process")
		return
	}
	if end.threads > warm.threads+moreThreads {
		s.t.Errorf("there were %d threads, and are %d", warm.threads, end.threads)
	}
	const connections = 5 // to a SQLite file
	for kind, n := range end.descriptors {
		most := warm.descriptors[kind]
		switch {
		case kind == "socket": // leave has compared them
			continue
		case strings.Contains(kind, "sherpa.db"):
			most = connections
		}
		if n > most {
			s.t.Errorf("%d descriptors of %s, want %d at most", n, kind, most)
		}
	}
}

// checkTables accounts for every row. A login whose client hung up may have begun a session.
func (s *soak) checkTables(warm, end map[string]int64) {
	s.t.Helper()
	c := s.clients
	visitors, known := c.visitors.Load(), int64(len(c.kept)+len(c.lasting))
	bounds := map[string][2]int64{
		"counters":        {warm["counters"], warm["counters"]},
		"users":           {int64(len(c.users)), int64(len(c.users))},
		"sessions":        {known, known + c.hungUp.Load()},
		"revocations":     {c.endedWithin(24 * time.Hour), c.endedWithin(26 * time.Hour)}, // kept for 25
		"login_failures":  {0, visitors},
		"login_rates":     {0, visitors},
		"known_addresses": {visitors, visitors},
		"state":           {1, 1},                    // the signing keys
		"password_resets": {}, "personal_tokens": {}, // no client has one
		// A session begins and ends once, perhaps after a wrong password.
		"events": {known, 3*(known+c.hungUp.Load()) + int64(len(c.users)) + 1},
	}
	for table, rows := range end {
		if bound, ok := bounds[table]; !ok || rows < bound[0] || rows > bound[1] {
			s.t.Errorf("%d rows in %s, want %v", rows, table, bound)
		}
	}
}

// endedWithin returns how many sessions ended in the latest past.
func (c *crowd) endedWithin(past time.Duration) (n int64) {
	for _, s := range c.kept {
		if s.ended != "" && time.Since(s.endedAt) < past {
			n++
		}
	}
	return n
}

// checkLog wants no warning but those of refresh tokens that were used twice, one for each.
func (s *soak) checkLog() {
	s.t.Helper()
	var want int
	for _, session := range s.clients.kept {
		if session.ended == "refresh_reuse" {
			want++
		}
	}
	got, others := s.alarms.withText("refresh token used twice")
	if got != want {
		s.t.Errorf("%d warnings of a refresh token that was used twice, want %d", got, want)
	}
	for _, line := range others {
		if !strings.Contains(line, "DEMO") {
			s.t.Errorf("in the log: %s", line)
		}
	}
}

// checkGoroutines ends both processes and compares their goroutines.
func (s *soak) checkGoroutines() {
	s.t.Helper()
	r := want(s.t, 200)(s.fresh.login())
	want(s.t, 200)(s.fresh.mountain(r.Access))
	want(s.t, 204)(s.fresh.logOut(want(s.t, 200)(s.fresh.refresh(r.Refresh)).Access))
	s.leave(s.fresh, s.freshURL)
	s.leave(s.process, s.url)
	before, after := s.fresh.goroutines(s.t), s.goroutines(s.t)
	s.t.Logf("%d goroutines, and %d in a fresh process", sum(after), sum(before))
	for _, creator := range slices.Sorted(maps.Keys(after)) {
		if after[creator] > before[creator]+1 { // a poll of the feed may run, and has one of its own
			s.t.Errorf("%d goroutines from %s: %s", after[creator], creator, cmp.Diff(before, after))
		}
	}
}
