// Command plot draws the figures that bench/peers wrote:
//
//	bench/peers --out docs/peers.tsv
//	go run ./bench/plot docs/peers.tsv >docs/peers.svg
//
// The picture needs no font, script or file of its own, and follows the light or dark setting of its reader.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
)

func main() {
	if err := plot(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "plot:", err)
		os.Exit(1)
	}
}

func plot(args []string, out io.Writer) error {
	if len(args) != 1 {
		return errors.New("name the file that bench/peers wrote")
	}
	r, err := readRun(args[0])
	if err != nil {
		return err
	}
	return draw(out, r)
}
