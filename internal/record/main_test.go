package record_test

import (
	"testing"

	"github.com/sealwright/sealwright/internal/testlevel"
)

func TestMain(m *testing.M) { testlevel.Main(m) }
