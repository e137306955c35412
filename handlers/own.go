package handlers

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"

	"sherpa/models"
)

// ReadOwn answers with the row that the path names by id. The store reads it only for its owner.
func ReadOwn[Row, View any](
	c *gin.Context, read func(ctx context.Context, userID, id int64) (Row, error), view func(Row) View,
) error {
	id, err := PathID(c, "id")
	if err != nil {
		return err
	}
	row, err := read(c.Request.Context(), principalOf(c).UserID, id)
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, view(row))
	return nil
}

// ListOwn answers with a page of the principal's rows.
func ListOwn[Key string | int64, Row, View any](
	c *gin.Context, list func(ctx context.Context, userID int64, page models.Page[Key]) ([]Row, error),
	key func(Row) Key, view func(Row) View,
) error {
	page, err := ReadPage[Key](c)
	if err != nil {
		return err
	}
	rows, err := list(c.Request.Context(), principalOf(c).UserID, page)
	if err != nil {
		return err
	}
	return WritePage(c, page, rows, key, view)
}

// DeleteOwn deletes the row that the path names by id. The store deletes it only for its owner.
func DeleteOwn(c *gin.Context, remove func(ctx context.Context, userID, id int64) error) error {
	id, err := PathID(c, "id")
	if err != nil {
		return err
	}
	if err := remove(c.Request.Context(), principalOf(c).UserID, id); err != nil {
		return err
	}
	c.Status(http.StatusNoContent)
	return nil
}
