package main

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
)

// run is what bench/peers measured.
type run struct {
	date, cpu, load, version, commit, command string
	servers                                   []server
}

// server is a row of the run. Its figures have the texts of the file where nothing computes with them.
type server struct {
	name              string
	rate, least, most float64 // requests a second: median, worst and best round
	p50, p99          string  // ms
	memory            string  // MiB under load
	start             string  // ms to the first answer
	size              string  // MB of the program
}

// The names by which bench/peers calls its servers.
const (
	bare       = "bare Gin, no check"
	sherpa     = "Sherpa"
	stock      = "gin-jwt, no sessions"
	session    = "gin-jwt, sessions in SQLite"
	silent     = "PocketBase, no request log"
	pocketBase = "PocketBase"
)

// supabase is not in any run: it was measured once, by hand, on the same machine.
const (
	supabaseName = "Supabase Auth, GET /user"
	supabaseRate = 2650
	supabaseNote = "measured on 2026-11-24, not in this run"
)

func readRun(path string) (run, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return run{}, err
	}
	r, err := parseRun(string(text))
	if err != nil {
		return run{}, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// parseRun reads lines "# KEY VALUE", then a line of headings, then a line for each server.
func parseRun(text string) (r run, err error) {
	head := map[string]string{}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if rest, ok := strings.CutPrefix(line, "# "); ok {
			key, value, _ := strings.Cut(rest, " ")
			head[key] = strings.TrimSpace(value)
			continue
		}
		if strings.HasPrefix(line, "server\t") {
			continue
		}
		s, err := parseServer(line)
		if err != nil {
			return run{}, err
		}
		r.servers = append(r.servers, s)
	}
	r.date, r.cpu, r.load, r.version = head["date"], head["CPU"], head["load"], head["Go"]
	r.commit, r.command = head["commit"], head["command"]
	for _, name := range []string{bare, sherpa, stock, session, silent, pocketBase} {
		if r.server(name).rate <= 0 {
			return run{}, fmt.Errorf("%q has no figures", name)
		}
	}
	return r, nil
}

func parseServer(line string) (server, error) {
	field := strings.Split(line, "\t")
	if len(field) != 9 {
		return server{}, fmt.Errorf("%q does not have 9 columns", line)
	}
	s := server{name: field[0], p50: field[4], p99: field[5]}
	s.memory, s.start, s.size = field[6], field[7], field[8]
	for i, number := range []*float64{&s.rate, &s.least, &s.most} {
		var err error
		if *number, err = strconv.ParseFloat(field[i+1], 64); err != nil {
			return server{}, err
		}
	}
	if s.least > s.rate || s.rate > s.most {
		return server{}, fmt.Errorf("%s: the median is not between the worst and the best round", s.name)
	}
	return s, nil
}

// server returns the zero server for a name that the run does not have.
func (r run) server(name string) server {
	for _, s := range r.servers {
		if s.name == name {
			return s
		}
	}
	return server{}
}

// times is how many times as many requests Sherpa answers in the same run: 0.72, 1.3, 25. It is empty for
// Sherpa itself.
func (r run) times(s server) string {
	times := r.server(sherpa).rate / s.rate
	switch {
	case s.name == sherpa:
		return ""
	case times < 1:
		return fmt.Sprintf("%.2f", times)
	case times < 10:
		return fmt.Sprintf("%.1f", times)
	default:
		return fmt.Sprintf("%.0f", times)
	}
}

// grouped writes a rate with three digits and a mark between the thousands: 65 400.
func grouped(rate float64, mark string) string {
	unit := math.Pow(10, max(0, math.Floor(math.Log10(rate))-2))
	rounded := math.Round(rate/unit) * unit
	digits := fmt.Sprintf("%.0f", rounded)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + mark + digits[i:]
	}
	return digits
}
