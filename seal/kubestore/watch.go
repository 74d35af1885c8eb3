package kubestore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/sealwright/sealwright/internal/poll"
)

// Watch tells of changes as [seal.Watcher] says. It begins by sending once. It hears of
// them from the API server where the service account may watch the Secret, and asks
// every [Config.PollInterval] as well: a connection can be dead for minutes before
// anybody notices. Where the account may not, asking is all. An API server that is
// away does not end it.
func (s *Store) Watch(ctx context.Context, changed chan<- struct{}) error {
	ctx, stop := context.WithCancel(ctx)
	var listens sync.WaitGroup
	listens.Go(func() { s.listen(ctx, changed) })
	defer listens.Wait()
	defer stop()
	return poll.Watch(ctx, s.cfg.PollInterval, func(ctx context.Context) (string, error) {
		ctx, cancel := context.WithTimeout(ctx, max(s.cfg.PollInterval, 5*time.Second))
		defer cancel()
		held, err := s.read(ctx)
		return held.revision(), err
	}, changed)
}

// errNoWatch is the API server's word that the account may not watch.
var errNoWatch = errors.New("kubestore: the API server does not let the account watch")

// listen sends on changed what the API server tells of the Secret, until ctx is done.
// A Role is not in force everywhere in the second it is made, and an API server can end
// a watch by an error for a while: neither is taken for the last word. But
// each refusal stands in the cluster's audit log, so they get rare.
func (s *Store) listen(ctx context.Context, changed chan<- struct{}) {
	first := min(s.cfg.PollInterval, time.Second)
	wait := first
	for ctx.Err() == nil {
		begun := time.Now()
		err := s.client.watch(ctx, s.cfg, func() {
			select {
			case changed <- struct{}{}:
			case <-ctx.Done():
			}
		})
		if time.Since(begun) > time.Minute {
			wait = first
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
		if errors.Is(err, errNoWatch) {
			wait = min(2*wait, time.Hour)
		} else {
			wait = min(2*wait, time.Minute)
		}
	}
}

// A watch lasts that long: the API server ends it then, and the client a little later
// where it did not.
const lasts = 4 * time.Minute

// watch calls tell once for what is there, and for each change, until the watch ends.
// At the resourceVersion 0 it begins with what the API server has at hand, and whoever
// is told reads anew. Without one, kube-apiserver 1.36.3 over etcd 3.4.23 ended each
// watch with "Too large resource version"; at the Secret's own, one that was started
// since the Secret was changed has nothing to begin with.
// https://kubernetes.io/docs/reference/using-api/api-concepts/#semantics-for-watch
func (c *client) watch(ctx context.Context, cfg Config, tell func()) error {
	ctx, cancel := context.WithTimeout(ctx, lasts+30*time.Second)
	defer cancel()
	question := url.Values{
		"watch":           {"true"},
		"resourceVersion": {"0"},
		"fieldSelector":   {"metadata.name=" + cfg.Name},
		"timeoutSeconds":  {fmt.Sprint(int(lasts.Seconds()))},
	}
	answer, err := c.send(ctx, http.MethodGet, path(cfg)+"?"+question.Encode(), nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusOK:
	case http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return errNoWatch
	default:
		return fmt.Errorf("HTTP status %d", answer.StatusCode)
	}
	body := &io.LimitedReader{R: answer.Body}
	for events := json.NewDecoder(body); ; {
		var event struct{ Type string }
		body.N = maxAnswer // for each
		if err := events.Decode(&event); err != nil {
			return err
		}
		switch event.Type {
		case "ADDED", "MODIFIED", "DELETED":
			tell()
		case "ERROR":
			return errors.New("the API server ended the watch")
		}
	}
}
