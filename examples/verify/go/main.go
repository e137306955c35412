package main

import (
	"bufio"
	"cmp"
	"fmt"
	"log"
	"os"
	"strings"
	"time"
)

// main reads tokens, one a line, and says of each whether it is good.
func main() {
	limit, err := time.ParseDuration(cmp.Or(os.Getenv("VERIFY_LIMIT"), "30") + "s")
	if err != nil {
		log.Fatal(err)
	}
	v := NewVerifier(os.Getenv("VERIFY_URL"), os.Getenv("VERIFY_TOKEN_FILE"), "sherpa", "sherpa", limit)
	select {
	case <-v.Ready():
	case <-time.After(limit):
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		claims, err := v.Verify(strings.TrimSpace(lines.Text()))
		if err != nil {
			fmt.Println("refused:", err)
			continue
		}
		fmt.Println("ok", claims.Subject, strings.Join(claims.Roles, ","))
	}
}
