package pgtest

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// patience is how long a server may take to start, to stop, or to run a statement.
const patience = time.Minute

//go:embed guard.sh
var guardScript string

// Server is a PostgreSQL server of one test. The guard, a shell, runs it.
type Server struct {
	folder  string
	port    int
	running bool
	guard   *exec.Cmd
	orders  io.WriteCloser
	printed <-chan string
}

// Start starts a server that promises all that PostgreSQL does, until the test ends. Options are lines for
// postgresql.conf.
func Start(t testing.TB, options ...string) *Server {
	t.Helper()
	Require(t)
	s, err := start("", options...)
	if err != nil {
		t.Fatalf("start PostgreSQL: %v", err)
	}
	t.Cleanup(func() {
		if err := s.remove(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// URL returns the address of the server's database, which is called sherpa and has nothing in it.
func (s *Server) URL() string { return s.url("sherpa") }

// Port returns the TCP port on 127.0.0.1, which stays the same after Resume.
func (s *Server) Port() int { return s.port }

// Dir returns the data folder.
func (s *Server) Dir() string { return filepath.Join(s.folder, "data") }

// WriteFile writes a file into the data folder that belongs to the server, and that it alone may read: a key,
// say.
func (s *Server) WriteFile(t testing.TB, name string, data []byte) {
	t.Helper()
	path := filepath.Join(s.Dir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := own(path, s.guard.SysProcAttr); err != nil {
		t.Fatal(err)
	}
}

// Stop ends the server like a crash: no client is told, and nothing more is written.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	if !s.running {
		t.Fatal("stop PostgreSQL: it is stopped already")
	}
	if err := s.halt(); err != nil {
		t.Fatalf("stop PostgreSQL: %v", err)
	}
}

// Resume starts the server after Stop, on the same data and port, and waits until it takes connections.
func (s *Server) Resume(t testing.TB) {
	t.Helper()
	if s.running {
		t.Fatal("resume PostgreSQL: it is not stopped")
	}
	if err := s.run(); err != nil {
		t.Fatalf("resume PostgreSQL: %v", err)
	}
}

func (s *Server) url(database string) string {
	return fmt.Sprintf("postgres://sherpa@127.0.0.1:%d/%s?sslmode=disable", s.port, database)
}

// start starts a server, whose folder is in memory if that names a folder with room.
func start(memory string, options ...string) (*Server, error) {
	s, err := newServer(memory)
	if err != nil {
		return nil, err
	}
	if err := s.open(options); err != nil {
		return nil, errors.Join(err, s.remove())
	}
	return s, nil
}

// newServer starts the guard, which makes the folder.
func newServer(memory string) (*Server, error) {
	binaries, err := findBinaries(usualFolders()...)
	if err != nil {
		return nil, err
	}
	parent, err := filepath.Abs(os.TempDir())
	if err != nil {
		return nil, err
	}
	//nolint:gosec // what varies is where PostgreSQL and the temporary files are
	guard := exec.CommandContext(
		context.Background(), "sh", "-c", guardScript, "guard", binaries, parent, memory,
	)
	guard.Dir = "/" // the test's folder may be closed to the server's user
	guard.Env = append(os.Environ(), "LC_ALL=C")
	if guard.SysProcAttr, err = unprivileged(); err != nil {
		return nil, err
	}
	orders, err := guard.StdinPipe()
	if err != nil {
		return nil, err
	}
	output, err := guard.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := guard.Start(); err != nil {
		return nil, err
	}
	return &Server{guard: guard, orders: orders, printed: lines(output)}, nil
}

// lines returns what the guard prints. The channel has room for the output of a test that does not read it.
func lines(output io.Reader) <-chan string {
	printed := make(chan string, 1000)
	go func() {
		defer close(printed)
		for scanner := bufio.NewScanner(output); scanner.Scan(); {
			printed <- scanner.Text()
		}
	}()
	return printed
}

// open waits for the folder, and starts the server with a database.
func (s *Server) open(options []string) error {
	var complaints []string
	for line := range s.printed {
		if folder, ok := strings.CutPrefix(line, "folder "); ok {
			s.folder = folder
			break
		}
		complaints = append(complaints, line)
	}
	if s.folder == "" {
		return fmt.Errorf("make a data folder:\n%s", strings.Join(complaints, "\n"))
	}
	options = append([]string{"listen_addresses = '127.0.0.1'", "unix_socket_directories = ''"}, options...)
	if err := s.configure(options); err != nil {
		return err
	}
	var err error
	for range 4 { // another process may take the port first
		if s.port, err = freePort(); err != nil {
			return err
		}
		if err = s.run(); err == nil {
			return s.execute("CREATE DATABASE sherpa TEMPLATE template0")
		}
	}
	return err
}

func (s *Server) configure(options []string) error {
	file, err := os.OpenFile(filepath.Join(s.Dir(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString("\n" + strings.Join(options, "\n") + "\n")
	return errors.Join(err, file.Close())
}

// freePort looks below the ports that systems give to clients: while a server is stopped, no client may take
// its port.
func freePort() (int, error) {
	var err error
	for range 100 {
		port := 20000 + rand.IntN(10000) //nolint:gosec // no secret
		var l net.Listener
		l, err = new(
			net.ListenConfig,
		).Listen(
			context.Background(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)),
		)
		if err == nil {
			return port, l.Close()
		}
	}
	return 0, fmt.Errorf("no free port: %w", err)
}

// run starts the server and waits until it takes connections.
func (s *Server) run() error {
	if _, err := fmt.Fprintln(s.orders, s.port); err != nil {
		return fmt.Errorf("the guard is gone: %w", err)
	}
	s.running = true
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if err = s.probe(); err == nil {
			return nil
		}
		select {
		case line := <-s.printed:
			return errors.Join(fmt.Errorf("postgres %s:\n%s", line, s.log()), s.release())
		case <-time.After(20 * time.Millisecond):
		}
	}
	return errors.Join(fmt.Errorf("not ready after %v: %w\n%s", patience, err, s.log()), s.halt())
}

// probe connects, and checks that this server answers, not another one that took the port first.
func (s *Server) probe() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	connection, err := pgx.Connect(ctx, s.url("postgres"))
	if err != nil {
		return err
	}
	var folder string
	err = connection.QueryRow(ctx, "SHOW data_directory").Scan(&folder)
	if err == nil && folder != s.Dir() {
		err = fmt.Errorf("the server of %s has port %d", folder, s.port)
	}
	return errors.Join(err, connection.Close(ctx))
}

func (s *Server) log() string {
	text, err := os.ReadFile(filepath.Join(s.folder, "log"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// halt stops the server and waits until it has ended.
func (s *Server) halt() error {
	if err := s.release(); err != nil {
		return err
	}
	select {
	case <-s.printed:
		return nil
	case <-time.After(patience):
		return fmt.Errorf("still there after %v", patience)
	}
}

// release ends what the guard does for this run of the server.
func (s *Server) release() error {
	s.running = false
	if _, err := fmt.Fprintln(s.orders); err != nil {
		return fmt.Errorf("the guard is gone: %w", err)
	}
	return nil
}

// remove ends the server, the guard and the folder.
func (s *Server) remove() error {
	err := s.orders.Close()
	for range s.printed { // until the guard has ended
	}
	return errors.Join(err, s.guard.Wait())
}

// execute runs a statement outside the databases of the tests.
func (s *Server) execute(statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	connection, err := pgx.Connect(ctx, s.url("postgres"))
	if err != nil {
		return err
	}
	if _, err = connection.Exec(ctx, statement); err != nil {
		err = fmt.Errorf("%s: %w", statement, err)
	}
	return errors.Join(err, connection.Close(ctx))
}
