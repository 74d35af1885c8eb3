//go:build unix

package examples_test

import (
	"errors"
	"fmt"
	"net/http"
	"syscall"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/sealwright/sealwright/internal/dbtest"
	"github.com/sealwright/sealwright/internal/testlevel"
)

// Three pods over one database: each is killed in turn and comes back by itself,
// while the others serve, and what any of them wrote all of them read.
func TestThreeReplicas(t *testing.T) {
	w := readWorkload(t, "replicas")
	testlevel.NeedsWhole(t, "builds and runs programs")
	server, err := dbtest.StartPostgreSQL()
	if errors.Is(err, dbtest.ErrNoServer) {
		t.Skip(err)
	}
	must(t, err)
	t.Cleanup(server.Close)
	// The file with the connection is wrong at first.
	w.secrets["notes-database"]["url"] = server.DSN("nobody_at_all")
	n := newNode(t, w)
	pods := make([]*pod, 3)
	start := func(i int) { t.Helper(); pods[i] = n.start(fmt.Sprintf("notes-%d", i)) }
	start(0)
	pods[0].probe(w, http.StatusServiceUnavailable, "the store cannot be reached")
	w.secrets["notes-database"]["url"] = server.DSN("")
	n.project("notes-database")
	pods[0].probe(w, http.StatusServiceUnavailable, "the store cannot be reached", "the table is missing")
	n.initialize()
	start(1)
	start(2)
	for _, p := range pods {
		p.probe(w, http.StatusOK)
	}

	notes, kills, lost := map[string]string{}, 0, 0
	write := func(p *pod) {
		t.Helper()
		name := fmt.Sprint("note-", len(notes))
		p.write(name, "text of "+name)
		notes[name] = "text of " + name
	}
	readable := func(p *pod) {
		t.Helper()
		for name, want := range notes {
			if code, text := p.get("/notes/" + name); code != http.StatusOK || text != want {
				lost++
				t.Errorf("%s reads %d %q", name, code, text)
			}
		}
	}
	for range 2 {
		for i := range pods {
			write(pods[i])
			pods[i].end(syscall.SIGKILL)
			kills++
			for j, p := range pods {
				if j != i {
					write(p)
				}
			}
			start(i)
			pods[i].probe(w, http.StatusOK)
			for _, p := range pods {
				readable(p)
			}
		}
	}
	// All at once, as when the cluster restarts.
	for _, p := range pods {
		p.end(syscall.SIGKILL)
		kills++
	}
	for i := range pods {
		start(i)
	}
	for _, p := range pods {
		p.probe(w, http.StatusOK)
		readable(p)
	}
	t.Logf("GUARANTEE 1 replicas-over-postgresql: kills=%d notes=%d lost=%d", kills, len(notes), lost)
}
