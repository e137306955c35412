package handlers

import (
	"net/http"

	"github.com/gin-gonic/gin"
)

// Mountain is the tutorial's resource, and the model for your own.
type Mountain struct{}

type mountainResponse struct {
	Mountain string `json:"mountain"`
}

// Get answers with the name in the path.
func (Mountain) Get(c *gin.Context) error {
	name, err := PathText(c, "name")
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, mountainResponse{Mountain: name})
	return nil
}
