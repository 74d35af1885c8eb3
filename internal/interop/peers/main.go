// Peers measures Sealwright's Encrypt and Decrypt beside the AEAD wrapper of
// HashiCorp's go-kms-wrapping and the local secrets of the Go Cloud Development
// Kit, as internal/interop/ratios does beside others, which runs this one at its
// end. It is a module of its own, never released and not in go.work, as the two
// require much that would change the versions other modules are tested with:
//
//	cd internal/interop/peers && GOWORK=off go run . [-run regexp] [-passes n] [-json]
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"slices"

	"github.com/sealwright/sealwright/internal/measure"
)

func main() {
	log.SetFlags(0)
	asJSON := flag.Bool("json", false, "print the results as JSON")
	options := measure.ParseOptions()
	wrapping, err := wrappingEncryption()
	if err != nil {
		log.Fatal(err)
	}
	others := []measure.Encryption{wrapping, gocloudEncryption()}
	results := options.Run(slices.Concat(measure.Encrypt(others), measure.Decrypt(others)))
	if *asJSON {
		err = json.NewEncoder(os.Stdout).Encode(results)
	} else {
		fmt.Printf("%s\n\n", measure.Conditions(options.Passes))
		err = errors.Join(measure.PrintTable(os.Stdout, results), measure.PrintRatios(os.Stdout, results))
	}
	if err != nil {
		log.Fatal(err)
	}
}
