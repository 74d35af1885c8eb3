// Package sqlerror knows the errors of SQL drivers by their numbers, without a
// driver: their types are found by what they have. Texts are never looked at; a
// server may translate them.
package sqlerror

import (
	"context"
	"database/sql/driver"
	"errors"
	"reflect"
)

// State returns the SQLSTATE of an error of pgx or lib/pq, or "".
func State(err error) string {
	if e, ok := errors.AsType[interface {
		error
		SQLState() string
	}](err); ok {
		return e.SQLState()
	}
	return ""
}

// Number returns the number of an error of a MySQL driver, or 0. It is a field of
// the error, without a method: Number of go-sql-driver's, Code of go-mysql's.
func Number(err error) uint64 {
	for ; err != nil; err = errors.Unwrap(err) {
		v := reflect.Indirect(reflect.ValueOf(err))
		if v.Kind() != reflect.Struct {
			continue
		}
		for _, name := range []string{"Number", "Code"} {
			if f, ok := v.Type().FieldByName(name); ok && len(f.Index) == 1 && f.Type.Kind() == reflect.Uint16 {
				return v.FieldByIndex(f.Index).Uint()
			}
		}
	}
	return 0
}

// Code returns the result code of an error of a SQLite driver, maybe an extended
// one, or 0: the method Code of modernc's and ncruces', the field of mattn's.
func Code(err error) int64 {
	for ; err != nil; err = errors.Unwrap(err) {
		v := reflect.ValueOf(err)
		if m := v.MethodByName("Code"); m.IsValid() && m.Type().NumIn() == 0 && m.Type().NumOut() == 1 {
			if n, ok := number(m.Call(nil)[0]); ok {
				return n
			}
		}
		if v = reflect.Indirect(v); v.Kind() == reflect.Struct {
			if n, ok := number(v.FieldByName("Code")); ok {
				return n
			}
		}
	}
	return 0
}

func number(v reflect.Value) (int64, bool) {
	switch {
	case !v.IsValid():
		return 0, false
	case v.CanInt():
		return v.Int(), true
	case v.CanUint():
		return int64(v.Uint()), true
	}
	return 0, false
}

// Lost reports whether an error, which is none of the server's, may be that of a
// connection: what was sent may have been executed. Drivers have no common way of
// saying so, so it is every one that is not known to be another.
func Lost(err error) bool {
	if errors.Is(err, context.Canceled) {
		return false
	}
	return err != nil && !errors.Is(err, driver.ErrSkip)
}
