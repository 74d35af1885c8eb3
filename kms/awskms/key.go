package awskms

import (
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
)

// keyName is a key as it is configured: by its own name, or by an alias that
// may be moved to another key.
type keyName struct {
	name string  // as configured
	arn  arn.ARN // the zero value unless the name is an ARN
	id   string  // "1234abcd-…" or "mrk-…"; "" of an alias
}

func parseKey(name string) (keyName, error) {
	k := keyName{name: name}
	resource := name
	switch {
	case name == "":
		return k, errors.New("KeyID is required")
	case arn.IsARN(name):
		a, err := arn.Parse(name)
		if err != nil || a.Service != "kms" || a.Partition == "" || a.Region == "" || a.AccountID == "" {
			return k, errors.New("KeyID is not the ARN of a KMS key: arn:aws:kms:REGION:ACCOUNT:key/ID")
		}
		k.arn, resource = a, a.Resource
	case !strings.HasPrefix(name, "alias/"):
		resource = "key/" + name
	}
	kind, id, _ := strings.Cut(resource, "/")
	if id == "" || strings.Trim(id, nameChars) != "" || kind != "alias" && (kind != "key" || strings.Contains(id, "/")) {
		return k, errors.New(`KeyID is neither an ARN, nor a key id, nor "alias/name"`)
	}
	if kind == "key" {
		k.id = id
	}
	return k, nil
}

// asks returns the name by which KMS is asked for the key with that ARN. A key
// that is configured by its id is asked by its id, which stands for one of the
// identity's own account, whatever account a blob names.
func (k keyName) asks(arn string) string {
	if k.id != "" && k.arn.AccountID == "" {
		return k.name
	}
	return arn
}

// nameChars may stand in key ids and aliases; "/" in aliases only.
const nameChars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_/"

// in returns the ARN by which the key with the ARN name is asked in region,
// where k is configured. It fails if k can never stand for that key.
func (k keyName) in(region, name string) (string, error) {
	a, err := arn.Parse(name)
	id, isKey := strings.CutPrefix(a.Resource, "key/")
	if err != nil || a.Service != "kms" || !isKey {
		return "", fmt.Errorf("%q is not the ARN of a KMS key", name)
	}
	if strings.HasPrefix(id, "mrk-") {
		// All replicas of a multi-Region key have its id and its material.
		a.Region = region
	}
	switch {
	case k.id != "" && id != k.id:
		return "", fmt.Errorf("%q is another key", name)
	case a.Region != region:
		return "", fmt.Errorf("%q is in another region than %q", name, region)
	case k.arn.AccountID != "" && (a.AccountID != k.arn.AccountID || a.Partition != k.arn.Partition):
		return "", fmt.Errorf("%q is in another account", name)
	}
	return a.String(), nil
}

// SameKey implements [kms.Namer]: the replicas of a multi-Region key differ in
// their region alone.
func (w *Wrapper) SameKey(a, b string) bool {
	one, err := arn.Parse(a)
	other, errOther := arn.Parse(b)
	if err != nil || errOther != nil || !strings.HasPrefix(one.Resource, "key/mrk-") {
		return a == b
	}
	other.Region = one.Region
	return one == other
}
