package move

import (
	"context"
	"errors"
	"fmt"

	"github.com/sealwright/sealwright/examples/internal/fakeclouds"
	"github.com/sealwright/sealwright/kms/awskms/awskmstest"
	"github.com/sealwright/sealwright/kms/kmstest"
	"github.com/sealwright/sealwright/seal"
)

// tree is the stanza of the three clouds, any two of which open.
const tree = `seal "threshold" {
  name      = "clouds"
  threshold = 2
  of        = ["azurekeyvault", "awskms", "gcpckms"]
}
`

// loseEach switches each cloud's key off in turn, and then two.
func loseEach(ctx context.Context, c *fakeclouds.Clouds, open func() (*seal.Barrier, error)) error {
	down := kmstest.Always(kmstest.Fault{Failure: kmstest.Denied})
	clouds := []struct {
		name      string
		off, mend func()
	}{
		{"Azure", func() { c.Azure.Disable("unseal", "") }, func() { c.Azure.Enable("unseal", "") }},
		{"AWS", func() {
			c.AWS.Inject(awskmstest.Fault{Code: "AccessDeniedException", Message: "not authorized"})
		}, func() { c.AWS.Inject(awskmstest.Fault{}) }},
		{"Google", func() { c.GCP.Script(down) }, func() { c.GCP.Script(nil) }},
	}
	try := func() error {
		b, err := open()
		if err != nil {
			return err
		}
		defer b.Close()
		err = b.Unseal(ctx)
		return err
	}
	for i, cloud := range clouds {
		cloud.off()
		if err := try(); err != nil {
			return fmt.Errorf("without %s: %w", cloud.name, err)
		}
		other := clouds[(i+1)%len(clouds)]
		other.off()
		err := try()
		if err == nil {
			return errors.New("one cloud alone opened the store")
		}
		fmt.Printf("Without %s: opened.  Without %s as well: %v\n", cloud.name, other.name, err)
		other.mend()
		cloud.mend()
	}
	return nil
}
