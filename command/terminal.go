package command

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// Streams are the standard streams of a command.
type Streams struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// readPassword asks twice, without echo, on a terminal. Elsewhere it reads the first line of standard input.
// A password is never an argument, because every process of the machine can read those.
func readPassword(ctx context.Context, std Streams) (string, error) {
	terminal, ok := std.In.(*os.File)
	if !ok || !isTerminal(terminal) {
		return readLine(std.In, "password")
	}
	first, err := prompt(ctx, terminal, std.Err, passwordLabel)
	if err != nil {
		return "", err
	}
	second, err := prompt(ctx, terminal, std.Err, "The same again: ")
	if err != nil {
		return "", err
	}
	if first != second {
		return "", errors.New("the two passwords differ; nothing was changed")
	}
	return first, nil
}

const passwordLabel = "Password: "

// askPassword is readPassword for a password that exists: it asks once.
func askPassword(ctx context.Context, std Streams) (string, error) {
	if terminal, ok := std.In.(*os.File); ok && isTerminal(terminal) {
		return prompt(ctx, terminal, std.Err, passwordLabel)
	}
	return readLine(std.In, "password")
}

// readLine reads the first line of a stream, without its end.
func readLine(in io.Reader, what string) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(in, 64<<10)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read %s: %w", what, err)
	}
	return strings.TrimRight(line, "\r\n"), nil
}

// prompt reads a line without echo. An interrupt restores the echo.
func prompt(ctx context.Context, terminal *os.File, out io.Writer, label string) (string, error) {
	fd := int(terminal.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("read password: %w", err)
	}
	fmt.Fprint(out, label)  //nolint:errcheck // a prompt that cannot be shown can still be answered
	defer fmt.Fprintln(out) //nolint:errcheck // as above
	type line struct {
		text []byte
		err  error
	}
	read := make(chan line, 1)
	go func() {
		text, err := term.ReadPassword(fd)
		read <- line{text, err}
	}()
	select {
	case <-ctx.Done():
		return "", errors.Join(errors.New("interrupted; nothing was changed"), term.Restore(fd, before))
	case got := <-read:
		if got.err != nil {
			return "", fmt.Errorf("read password: %w", got.err)
		}
		return string(got.text), nil
	}
}
