package command

import (
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// writeJSON prints one value.
func writeJSON(out io.Writer, value any) error {
	if err := json.MarshalWrite(out, value, jsontext.Multiline(true)); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out)
	return err
}

// printJSON prints an array row by row, because there may be millions.
func printJSON[Row, View any](out io.Writer, rows iter.Seq2[Row, error], view func(Row) View) error {
	encoder := jsontext.NewEncoder(out, jsontext.Multiline(true))
	if err := encoder.WriteToken(jsontext.BeginArray); err != nil {
		return err
	}
	for row, err := range rows {
		if err != nil {
			return err
		}
		if err := json.MarshalEncode(encoder, view(row)); err != nil {
			return err
		}
	}
	return encoder.WriteToken(jsontext.EndArray)
}

// newTable returns a writer that aligns cells, which tabs separate. Flush returns the error of every write.
func newTable(out io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(out, 0, 0, 2, ' ', 0) }

// printTable prints a head and a line for each row.
func printTable[Row any](
	out io.Writer, rows iter.Seq2[Row, error], head string, line func(Row) string,
) error {
	table := newTable(out)
	fmt.Fprintln(table, head) //nolint:errcheck // Flush returns the error
	for row, err := range rows {
		if err != nil {
			return err
		}
		fmt.Fprintln(table, line(row)) //nolint:errcheck // as above
	}
	return table.Flush()
}

// cell returns the text as one cell of a line on a terminal: in quotes, with escapes, when it has a blank, a
// quote or a character that could move the cursor or change the direction of writing.
func cell(text string) string {
	plain := func(r rune) bool { return unicode.IsPrint(r) && r != ' ' && r != '"' }
	if strings.ContainsFunc(text, func(r rune) bool { return !plain(r) }) {
		return strconv.Quote(text)
	}
	return text
}
