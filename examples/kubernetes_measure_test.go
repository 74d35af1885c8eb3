//go:build linux

package examples_test

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var measure = flag.Bool("measure", false, "measure what a pod uses, idle and under load")

// TestPodUses measures what the manifests request:
//
//	go test -v -run TestPodUses ./examples -args -measure
func TestPodUses(t *testing.T) {
	if !*measure {
		t.Skip("measures for a minute: -args -measure")
	}
	w := readWorkload(t, "single")
	n := newNode(t, w)
	n.mount()
	n.initialize()
	p := n.start("notes-0")
	p.probe(w, http.StatusOK)
	t.Logf("unsealed:        %s", p.uses(t))

	// Idle: what the kubelet asks, and nothing else.
	const idle = 30
	before := p.cpu(t)
	for second := range idle {
		time.Sleep(time.Second)
		if second%5 == 0 {
			p.get("/readyz")
		}
		if second%10 == 0 {
			p.get("/livez")
		}
	}
	t.Logf("idle for %d s:   %s, %.1f m CPU", idle, p.uses(t), 1000*(p.cpu(t)-before).Seconds()/idle)

	// Load: reads of notes of 1 KiB, from eight clients without a pause.
	const clients, reads = 8, 5000
	p.write("monday", strings.Repeat("x", 1024))
	before = p.cpu(t)
	began := time.Now()
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			for range reads {
				if code, _ := p.get("/notes/monday"); code != http.StatusOK {
					t.Errorf("%d", code)
					return
				}
			}
		})
	}
	all.Wait()
	used, took := p.cpu(t)-before, time.Since(began)
	t.Logf("%d reads:     %s, %.0f reads/s, %.0f m CPU, %.0f µs of CPU a read", clients*reads, p.uses(t),
		clients*reads/took.Seconds(), 1000*used.Seconds()/took.Seconds(), float64(used.Microseconds())/(clients*reads))
	p.end(syscall.SIGTERM)
}

// uses returns the memory that the pod has now, and has had at most.
func (p *pod) uses(t *testing.T) string {
	return fmt.Sprintf("%.1f MiB resident, %.1f at most", float64(p.status(t, "VmRSS"))/1024, float64(p.status(t, "VmHWM"))/1024)
}

// status returns a value of /proc/PID/status in KiB.
func (p *pod) status(t *testing.T, name string) int {
	t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/status")
	must(t, err)
	for line := range strings.Lines(string(text)) {
		if key, value, _ := strings.Cut(line, ":"); key == name {
			kib, err := strconv.Atoi(strings.Fields(value)[0])
			must(t, err)
			return kib
		}
	}
	t.Fatalf("no %s", name)
	return 0
}

// cpu returns the time that the pod has used: fields 14 and 15 of stat, in
// hundredths of a second.
func (p *pod) cpu(t *testing.T) time.Duration {
	t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/stat")
	must(t, err)
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	user, err := strconv.Atoi(fields[11])
	must(t, err)
	system, err := strconv.Atoi(fields[12])
	must(t, err)
	return time.Duration(user+system) * 10 * time.Millisecond
}

// fits compares the memory that the pod has used with what the manifest allows.
func (p *pod) fits(t *testing.T, w *workload) {
	t.Helper()
	limit, err := strconv.Atoi(strings.TrimSuffix(w.Resources.Limits.Memory, "Mi"))
	must(t, err)
	if kib := p.status(t, "VmHWM"); kib > limit<<10 {
		t.Errorf("the pod has used %d KiB, and may use %d MiB", kib, limit)
	}
}
