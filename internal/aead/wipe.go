package aead

import (
	"crypto/cipher"
	"reflect"
	"unsafe"

	"github.com/sealwright/sealwright/internal/secret"
)

// WipeState clears the state behind a pointer of the standard library, such as
// an expanded key, which no exported function clears. It touches only memory
// that holds no pointers, whatever the type is or becomes: the state of a
// foreign cipher, as under GOEXPERIMENT=boringcrypto, is left to its owner.
func WipeState(state any) {
	v := reflect.ValueOf(state)
	for v.Kind() == reflect.Struct && v.NumField() == 1 {
		v = v.Field(0) // a wrapper around the pointer
	}
	if v.Kind() != reflect.Pointer || v.IsNil() || !plain(v.Type().Elem()) {
		return
	}
	clear(unsafe.Slice((*byte)(v.UnsafePointer()), v.Type().Elem().Size()))
}

// relocate moves the state behind a pointer of the standard library to locked
// memory, and returns the place, for the caller to free. Where it cannot be
// moved, or nothing can be locked, the state stays and the place is nil.
func relocate(state cipher.AEAD) (cipher.AEAD, []byte) {
	if !movable(state) {
		return state, nil
	}
	v := reflect.ValueOf(state)
	t := v.Type().Elem()
	place := secret.Alloc(int(t.Size()))
	if place == nil {
		return state, nil
	}
	copy(place, unsafe.Slice((*byte)(v.UnsafePointer()), t.Size()))
	WipeState(state)
	return reflect.NewAt(t, unsafe.Pointer(&place[0])).Interface().(cipher.AEAD), place
}

// movable reports whether a state may be anywhere: it is behind one pointer,
// holds none, which the garbage collector would have to see, and has room.
func movable(state cipher.AEAD) bool {
	v := reflect.ValueOf(state)
	return v.Kind() == reflect.Pointer && !v.IsNil() && plain(v.Type().Elem()) && v.Type().Elem().Size() <= secret.MaxLocked
}

// WipeField clears the bytes that a field holds, where the path of names leads
// through the structs behind a pointer: those of a private key, which its
// package never clears. It does nothing where the path leads nowhere.
func WipeField(state any, path ...string) {
	v := reflect.ValueOf(state)
	for _, name := range path {
		if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
			return
		}
		v = v.Elem().FieldByName(name)
	}
	if v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8 {
		clear(v.Bytes())
	}
}

// plain reports whether values of the type hold numbers alone.
func plain(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Array:
		return plain(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if !plain(t.Field(i).Type) {
				return false
			}
		}
		return true
	default:
		return t.Kind() >= reflect.Bool && t.Kind() <= reflect.Complex128
	}
}

// Overlap reports whether two slices share memory.
func Overlap(a, b []byte) bool {
	return len(a) > 0 && len(b) > 0 &&
		addr(a) < addr(b)+uintptr(len(b)) && addr(b) < addr(a)+uintptr(len(a))
}

// same reports whether two slices that are not empty begin at one address.
func same(a, b []byte) bool {
	return addr(a) == addr(b)
}

func addr(b []byte) uintptr {
	return uintptr(unsafe.Pointer(unsafe.SliceData(b)))
}
