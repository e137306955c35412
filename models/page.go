package models

// Page asks for a part of a list: the rows after the key After, or from the start when After is zero. A store
// method returns up to Limit+1 rows; the one more tells that there is a next page.
type Page[Key string | int64] struct {
	After Key
	Limit int
}
