package awskmstest_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/awskms"
	"github.com/sealwright/sealwright/kms/awskms/awskmstest"
)

// A host's own test of what it does when its key is on its way to destruction.
func Example() {
	server := awskmstest.NewServer()
	defer server.Close()
	key := server.CreateKey()
	w, err := awskms.New(awskms.Config{
		KeyID: key, Endpoint: server.URL,
		AccessKeyID: awskmstest.AccessKeyID, SecretAccessKey: awskmstest.SecretAccessKey,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	server.SetState(key, "PendingDeletion")
	_, err = w.Wrap(context.Background(), make([]byte, 32), kms.Binding{Store: "store", Slot: "aws"})
	fmt.Println(errors.Is(err, kms.ErrKeyGone))
	// Output: true
}
