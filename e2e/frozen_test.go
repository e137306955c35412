//go:build unix

package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"sherpa/internal/pgtest"
)

// freeze stops every process of the database server, as a machine does that hangs.
func freeze(t *testing.T, server *pgtest.Server) (thaw func()) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(server.Dir(), "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	postmaster, err := strconv.Atoi(line)
	if err != nil {
		t.Fatal(err)
	}
	pids := []int{postmaster}
	thaw = func() {
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGCONT) // it may have ended
		}
	}
	t.Cleanup(thaw)
	halt(t, postmaster) // first, so that it starts no other process
	// The server's own list lacks the connections that are still logging in.
	pids = append(pids, children(t, postmaster)...)
	for _, pid := range pids[1:] {
		halt(t, pid)
	}
	return thaw
}

// halt stops a process, and waits until it has stopped: it may be about to start another one, or to answer.
func halt(t *testing.T, pid int) {
	t.Helper()
	// Some processes end by themselves.
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil && !errors.Is(err, syscall.ESRCH) {
		t.Fatalf("stop %d: %v", pid, err)
	}
	eventually(t, fmt.Sprintf("process %d stops", pid), func() bool {
		state, err := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
		return err != nil || strings.HasPrefix(string(state), "T") || strings.HasPrefix(string(state), "Z")
	})
}

// children returns the processes that a process has started and that still run.
func children(t *testing.T, parent int) (pids []int) {
	t.Helper()
	output, err := exec.Command("ps", "-A", "-o", "pid=", "-o", "ppid=").Output()
	if err != nil {
		t.Fatal("list the processes:", err)
	}
	for line := range strings.Lines(string(output)) {
		var pid, ppid int
		if _, err := fmt.Sscan(line, &pid, &ppid); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if ppid == parent {
			pids = append(pids, pid)
		}
	}
	return pids
}

// freezeReplica stops a replica, and waits until it has stopped.
func freezeReplica(t *testing.T, p *process) {
	t.Helper()
	if err := p.command.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var status syscall.WaitStatus
	_, err := syscall.Wait4(p.command.Process.Pid, &status, syscall.WUNTRACED, nil)
	if err != nil || !status.Stopped() {
		t.Fatal(status, err)
	}
}

// TestReplicaFrozen stops a replica in the middle of a transaction that holds the row of a session. The
// database server must end the transaction, so that the other replica can go on.
func TestReplicaFrozen(t *testing.T) {
	t.Parallel()
	database := pgtest.Database(t)
	a := startReplica(t, database+"&application_name=a", quiet)
	b := startReplica(t, database+"&application_name=b", quiet)
	operator := pgtest.Connect(t, database)
	// The connection now has the statement prepared, so that it takes one message.
	want(t, 204)(a.logOut(want(t, 200)(a.login()).Access))
	session := want(t, 200)(a.login())

	lockTable(t, operator, "sessions", "EXCLUSIVE")
	done := make(chan reply, 1)
	go func() {
		r, _ := a.logOut(session.Access)
		done <- r
	}()
	await(t, operator, "application_name = 'a' AND wait_event_type = 'Lock'")
	freezeReplica(t, a)
	pgtest.Execute(t, operator, "COMMIT") // now the statement goes on, and the replica sends no other
	await(t, operator, "application_name = 'a' AND state = 'idle in transaction'")
	refreshWhenFree(t, b, session.Refresh)

	if err := a.command.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	woken := time.Now()
	logout := <-done
	want(t, 200)(a.login())
	t.Logf("the frozen replica answered the logout with %d, and a login, after %v",
		logout.status, time.Since(woken).Round(time.Millisecond))
	if logout.status == http.StatusNoContent {
		t.Error("the replica acknowledged a logout whose transaction was rolled back")
	}
}

// refreshWhenFree refreshes a session twice whose row is locked at first.
func refreshWhenFree(t *testing.T, p *process, token string) {
	t.Helper()
	frozen := time.Now()
	var r reply
	var refused int
	for ; r.status != http.StatusOK; refused++ {
		var err error
		if r, err = p.refresh(token); err != nil || r.status != http.StatusOK && r.Code != "unavailable" {
			t.Fatal(r, err)
		}
		if time.Since(frozen) > 4*longestAnswer {
			t.Fatal("a frozen replica keeps a session locked")
		}
	}
	want(t, 200)(p.refresh(r.Refresh))
	t.Logf("the session could be refreshed after %v", time.Since(frozen).Round(time.Millisecond))
	if refused == 1 {
		t.Error("nothing was locked: the test proves nothing")
	}
}
