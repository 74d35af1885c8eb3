// Package browsertest holds the page of package ceremony to a real browser: Chromium,
// driven by chromedp, and axe-core, which npm brings. It is a module of its own and
// stands outside of the workspace, so that nobody else needs either. Without a browser,
// or without npm, its tests skip and say so.
//
//	cd internal/browsertest && GOWORK=off go test .
//
// The pictures in docs/ceremony are made by
//
//	cd internal/browsertest && GOWORK=off go test -run TestPictures -pictures ../../docs/ceremony .
package browsertest
