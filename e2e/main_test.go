// Package e2e tests the program as a process: its commands, its replicas, outages and kills.
package e2e

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"sherpa/command"
	"sherpa/internal/pgtest"
)

// asProgram makes the test binary run the program: for a test that needs its process id. It does not begin
// like a setting, because the program refuses those that it does not know.
const asProgram = "TEST_AS_SHERPA"

// main is the program.
func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	std := command.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}
	if err := command.Run(ctx, os.Args[1:], os.Environ(), command.ReadBuild("", ""), std); err != nil {
		fmt.Fprintln(os.Stderr, "sherpa:", err)
		os.Exit(command.Status(err))
	}
}

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	testscript.Main(allTests{m}, map[string]func(){"sherpa": main})
}

// allTests stops the PostgreSQL server that the tests have shared.
type allTests struct{ m *testing.M }

// Run lets more tests run at the same time than there are cores: they spend most of their time waiting.
func (a allTests) Run() int {
	flag.Parse()
	parallel := "8"
	flag.Visit(func(f *flag.Flag) {
		if f.Name == "test.parallel" {
			parallel = f.Value.String()
		}
	})
	if err := flag.Set("test.parallel", parallel); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return pgtest.Main(a.m)
}
