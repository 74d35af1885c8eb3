//go:build !unix

package main

func hardenProcess() {}
