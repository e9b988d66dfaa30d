package install_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/netbaseline/netbaseline/test/utils/harness"
)

// image is what the Dockerfile makes: its first stage is carried out here, in a directory that
// holds what that stage copies and nothing else; what the second one adds to its base is read from
// it. The base is not fetched: the program has to do without it.
type image struct {
	program    string
	user       string
	entrypoint []string
}

// build builds the image once.
var build = sync.OnceValues(func() (*image, error) {
	file, err := os.Open(harness.RepositoryPath("Dockerfile"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // only read
	stage := &stage{directory: filepath.Join(workplace, "image")}
	built := &image{}
	stages := 0
	for lines := bufio.NewScanner(file); lines.Scan(); {
		line := lines.Text()
		for strings.HasSuffix(line, `\`) && lines.Scan() {
			line = strings.TrimSuffix(line, `\`) + lines.Text()
		}
		instruction, arguments, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case instruction == "FROM":
			stages++
		case instruction == "USER":
			built.user = arguments
		case instruction == "ENTRYPOINT":
			err = json.Unmarshal([]byte(arguments), &built.entrypoint)
		case stages == 2 && instruction == "COPY":
			from, found := strings.CutPrefix(strings.Fields(arguments)[1], "/workspace/")
			if !found {
				err = fmt.Errorf("copied from elsewhere: %s", line)
			}
			built.program = filepath.Join(stage.directory, from)
		case stages == 1:
			err = stage.carryOut(instruction, arguments)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", line, err)
		}
	}
	return built, nil
})

// stage is a stage of a Dockerfile that only knows what ours needs.
type stage struct{ directory string }

func (s *stage) carryOut(instruction, arguments string) error {
	switch instruction {
	case "COPY":
		fields := strings.Fields(arguments)
		for _, source := range fields[:len(fields)-1] {
			if err := s.copy(source, fields[len(fields)-1]); err != nil {
				return err
			}
		}
	case "RUN":
		if arguments == "go mod download" {
			return nil // a layer for the builder's cache; also what no program needs would be fetched
		}
		// Paths in the binary make no difference here, and leaving them out would compile
		// everything once more.
		command := exec.Command("sh", "-ec", strings.Replace(arguments, " -trimpath", "", 1))
		command.Dir = s.directory
		if output, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, output)
		}
	}
	return nil
}

// copy copies a file or a directory as far as .dockerignore lets it.
func (s *stage) copy(source, target string) error {
	patterns, err := dockerignore()
	if err != nil {
		return err
	}
	root := harness.RepositoryPath(".")
	return filepath.WalkDir(filepath.Join(root, source), func(name string, entry fs.DirEntry, err error) error {
		relative, failed := filepath.Rel(root, name)
		if err != nil || failed != nil || entry.IsDir() || patterns.ignore(filepath.ToSlash(relative)) {
			return err
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		to := filepath.Join(s.directory, target, strings.TrimPrefix(relative, filepath.Clean(source)))
		if strings.TrimSuffix(target, "/") != filepath.Clean(source) { // into a directory
			to = filepath.Join(s.directory, target, path.Base(relative))
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return err
		}
		return os.WriteFile(to, content, 0o600)
	})
}

// pattern is a line of .dockerignore.
type pattern struct {
	expression *regexp.Regexp
	exception  bool
}

type patterns []pattern

// ignore reports whether a file does not get into the image: the last pattern that speaks of it, or
// of a directory it is in, decides.
func (p patterns) ignore(name string) (ignored bool) {
	for _, pattern := range p {
		if pattern.expression.MatchString(name) {
			ignored = !pattern.exception
		}
	}
	return ignored
}

func dockerignore() (found patterns, err error) {
	text, err := os.ReadFile(harness.RepositoryPath(".dockerignore"))
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		glob, exception := strings.CutPrefix(line, "!")
		expression := regexp.QuoteMeta(glob)
		for _, replace := range [][2]string{{`\*\*/`, `(.*/)?`}, {`\*\*`, `.*`}, {`\*`, `[^/]*`}} {
			expression = strings.ReplaceAll(expression, replace[0], replace[1])
		}
		found = append(found, pattern{regexp.MustCompile("^" + expression + "(/.*)?$"), exception})
	}
	return found, err
}

func mustBuild(t *testing.T) *image {
	t.Helper()
	built, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return built
}

func TestTheImageHoldsTheOperatorAndNoTests(t *testing.T) {
	mustBuild(t)
	err := filepath.WalkDir(filepath.Join(workplace, "image"), func(name string, _ fs.DirEntry, err error) error {
		for _, unwanted := range []string{"_test.go", "/localcluster", "/tools"} {
			if strings.HasSuffix(name, unwanted) {
				t.Errorf("%s is copied into the image", name)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
