//go:build !linux

package seal

func fileSystemDoubt(string) string { return "" }
