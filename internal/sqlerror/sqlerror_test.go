package sqlerror_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/sealwright/sealwright/internal/sqlerror"
)

// What drivers say: numbers are fields or come of a method, states of a method.
type (
	goSQLDriver struct {
		Number  uint16
		Message string
	}
	goMySQL  struct{ Code uint16 }
	postgres string
	modernc  struct{ code int }
	errNo    int
	mattn    struct{ Code errNo }
	ncruces  struct{ rc uint32 }
	strange  struct{ Code string }
)

func (*goSQLDriver) Error() string     { return "" }
func (*goMySQL) Error() string         { return "" }
func (postgres) Error() string         { return "" }
func (s postgres) SQLState() string    { return string(s) }
func (*modernc) Error() string         { return "" }
func (e *modernc) Code() int           { return e.code }
func (mattn) Error() string            { return "" }
func (*ncruces) Error() string         { return "" }
func (e *ncruces) Code() uint8         { return uint8(e.rc) }
func (strange) Error() string          { return "" }
func (strange) Number() (uint16, bool) { return 7, true }

func TestNumbers(t *testing.T) {
	for name, tt := range map[string]struct {
		err    error
		state  string
		number uint64
		code   int64
	}{
		"nil":           {nil, "", 0, 0},
		"no number":     {errors.New("1213"), "", 0, 0},
		"pgx, lib/pq":   {fmt.Errorf("commit: %w", postgres("40001")), "40001", 0, 0},
		"go-sql-driver": {fmt.Errorf("commit: %w", &goSQLDriver{Number: 1213}), "", 1213, 0},
		"nil pointer":   {(*goSQLDriver)(nil), "", 0, 0},
		"go-mysql":      {&goMySQL{1205}, "", 1205, 1205},
		"modernc":       {fmt.Errorf("x: %w", &modernc{517}), "", 0, 517},
		"mattn":         {mattn{5}, "", 0, 5},
		"ncruces":       {&ncruces{5 | 2<<8}, "", 0, 5},
		"strange":       {strange{"5"}, "", 0, 0},
	} {
		if state, number, code := sqlerror.State(tt.err), sqlerror.Number(tt.err), sqlerror.Code(tt.err); state != tt.state || number != tt.number || code != tt.code {
			t.Errorf("%s: state %q, number %d, code %d; want %q, %d, %d", name, state, number, code, tt.state, tt.number, tt.code)
		}
	}
	for err, want := range map[error]bool{io.ErrUnexpectedEOF: true, context.Canceled: false, context.DeadlineExceeded: true, nil: false} {
		if sqlerror.Lost(err) != want {
			t.Errorf("Lost(%v) is %v", err, !want)
		}
	}
}
