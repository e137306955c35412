package handlers

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"

	"sherpa/models"
)

const (
	defaultPage = 20
	maxPage     = 100
)

// ReadPage reads the query parameters of a list: limit, from 1 to 100, and after, the cursor that WritePage
// gave as next. Key is the type of the column that the list is sorted by. A list that has filters names their
// parameters. ReadPage refuses others: a slip in the name of a filter must not list everything.
func ReadPage[Key string | int64](c *gin.Context, filters ...string) (models.Page[Key], error) {
	page := models.Page[Key]{Limit: defaultPage}
	if err := checkQuery(c, append([]string{"limit", "after"}, filters...)); err != nil {
		return page, err
	}
	if text, ok := c.GetQuery("limit"); ok {
		limit, err := strconv.Atoi(text)
		if err != nil || limit < 1 || limit > maxPage {
			detail := fmt.Sprintf("The query parameter `limit` is a number from 1 to %d.", maxPage)
			return page, InvalidRequest(detail)
		}
		page.Limit = limit
	}
	if cursor, ok := c.GetQuery("after"); ok {
		raw, err := base64.RawURLEncoding.DecodeString(cursor)
		if err != nil || json.Unmarshal(raw, &page.After) != nil {
			return page, InvalidRequest("The query parameter `after` is no cursor: send `next` of a page.")
		}
	}
	return page, nil
}

// checkQuery refuses a query parameter that is not known, or that comes more than once.
func checkQuery(c *gin.Context, known []string) error {
	values, err := url.ParseQuery(c.Request.URL.RawQuery)
	if err != nil {
		return InvalidRequest("The query cannot be read.")
	}
	for name, given := range values {
		if !slices.Contains(known, name) || len(given) > 1 {
			all := strings.Join(known, "`, `")
			return InvalidRequest("The query may have `" + all + "`, each of them once, and nothing else.")
		}
	}
	return nil
}

type pageResponse[View any] struct {
	Items []View `json:"items"`
	Next  string `json:"next,omitempty"` // absent on the last page
}

// WritePage answers with the rows of a page, as view shows them. The store reads one row more than the page
// holds: it only tells that there is a next page.
func WritePage[Key string | int64, Row, View any](
	c *gin.Context, page models.Page[Key], rows []Row, key func(Row) Key, view func(Row) View,
) error {
	response := pageResponse[View]{Items: []View{}}
	for i, row := range rows {
		if i == page.Limit {
			last, err := json.Marshal(key(rows[i-1]))
			if err != nil {
				return fmt.Errorf("cursor: %w", err)
			}
			response.Next = base64.RawURLEncoding.EncodeToString(last)
			break
		}
		response.Items = append(response.Items, view(row))
	}
	c.JSON(http.StatusOK, response)
	return nil
}
