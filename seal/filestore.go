package seal

import "errors"

// ErrTooLarge is returned by a [Store] that is given a record longer than
// [MaxRecordSize]. Nothing was changed.
var ErrTooLarge = errors.New("seal: the record is larger than MaxRecordSize")
