//go:build !linux

package main

func discard(int) {}
