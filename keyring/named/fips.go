package named

import "crypto/fips140"

// inFIPS reports whether the process runs in FIPS 140-3 mode.
func inFIPS() bool { return fips140.Enabled() }
