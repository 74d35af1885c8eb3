//go:build !linux

package filestore

func fileSystemDoubt(string) string { return "" }
