// Command report reads the requests of the operator's account that the suites have saved, and
// prints the permissions that are granted and unused, and those that were requested and are not
// granted. It fails unless both lists are empty. `make test` and then `make privileges`.
package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"

	"github.com/netbaseline/netbaseline/test/integration/privilege"
	"github.com/netbaseline/netbaseline/test/utils/harness"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) != 2 {
		return errors.New("usage: report KUBECTL DIRECTORY")
	}
	kubectl, directory := arguments[0], arguments[1]
	manifests, err := exec.Command(kubectl, "kustomize", harness.RepositoryPath("config/default")).Output()
	if err != nil {
		return fmt.Errorf("render config/default: %w", err)
	}
	grants, err := privilege.Grants(string(manifests), harness.OperatorNamespace, harness.OperatorServiceAccount)
	if err != nil {
		return err
	}
	saved, err := privilege.Load(directory)
	if err != nil {
		return err
	}
	if len(saved) == 0 {
		return fmt.Errorf("no suite has saved anything in %s: run `make test` before", directory)
	}
	compared := privilege.Compare(grants, slices.Concat(slices.Collect(maps.Values(saved))...))
	fmt.Printf("%d grants, and the requests of %d control planes.\n", len(grants), len(saved))
	list("Granted and not used", compared.Unused)
	list("Used and not granted", compared.Missing)
	for _, excuse := range slices.Sorted(maps.Keys(compared.Excused)) {
		fmt.Printf("Not counted: %d requests: %s.\n", compared.Excused[excuse], excuse)
	}
	if len(compared.Unused)+len(compared.Missing) > 0 {
		return errors.New("the roles of the operator are not what it needs")
	}
	return nil
}

func list(title string, entries []string) {
	fmt.Printf("%s: %d\n", title, len(entries))
	for _, entry := range entries {
		fmt.Println("  " + entry)
	}
}
