// Package kubeserver starts a real kube-apiserver with an etcd of its own, where both
// are there.
package kubeserver

import (
	"os"
	"path/filepath"
)

// Version is that of the kube-apiserver that is built, without the v.
const Version = "1.36.3"

// Path returns where the program apiserver keeps what it built.
func Path() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(cache, "sealwright", "kube-apiserver-"+Version), nil
}
