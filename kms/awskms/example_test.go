package awskms_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/sealwright/sealwright/kms"
	"github.com/sealwright/sealwright/kms/awskms"
	"github.com/sealwright/sealwright/kms/awskms/awskmstest"
)

func Example() {
	server := awskmstest.NewServer() // in place of AWS
	defer server.Close()

	w, err := awskms.New(awskms.Config{
		KeyID:           server.CreateKey(),
		Endpoint:        server.URL,
		AccessKeyID:     awskmstest.AccessKeyID,
		SecretAccessKey: awskmstest.SecretAccessKey,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	place := kms.Binding{Store: "0123456789abcdef", Slot: "aws"}
	blob, err := w.Wrap(ctx, []byte("sixteen bytes..!"), place)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(blob.KeyID)

	key, err := w.Unwrap(ctx, blob, place)
	fmt.Printf("%s %v\n", key, err)

	server.SetState(blob.KeyID, "Disabled")
	_, err = w.Unwrap(ctx, blob, place)
	fmt.Println(errors.Is(err, kms.ErrKeyDisabled))
	// Output:
	// arn:aws:kms:eu-west-1:111122223333:key/00000000-0000-4000-8000-000000000001
	// sixteen bytes..! <nil>
	// true
}

// In EKS, with a service account of its own.
func ExampleNew_serviceAccount() {
	w, err := awskms.New(awskms.Config{
		KeyID:                "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
		WebIdentityTokenFile: "/var/run/secrets/eks.amazonaws.com/serviceaccount/token",
		RoleARN:              "arn:aws:iam::111122223333:role/app",
	})
	fmt.Printf("%v %v\n", w, err)
	// Output: awskms key "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab" <nil>
}
