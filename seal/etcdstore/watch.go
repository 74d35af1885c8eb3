package etcdstore

import (
	"context"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// A watch is begun anew every so often: one that outlived the restore of a snapshot
// waits for a revision that is far ahead, and would tell of nothing. Where the cluster
// does not answer, it is begun again soon.
const (
	renewal = time.Minute
	pause   = time.Second
)

// Watch tells of changes as [seal.Watcher] says. It begins by sending once, as the
// record may have changed before. Neither a lost connection nor a lost leader ends it,
// nor a compaction; it returns ctx.Err().
func (s *Store) Watch(ctx context.Context, changed chan<- struct{}) error {
	for {
		if renew := s.watch(ctx, changed); !renew {
			select {
			case <-time.After(pause):
			case <-ctx.Done():
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// watch watches until it is to be renewed, or something is wrong.
func (s *Store) watch(ctx context.Context, changed chan<- struct{}) (renew bool) {
	ctx, cancel := context.WithTimeout(clientv3.WithRequireLeader(ctx), renewal)
	defer cancel()
	for told := range s.client.Watch(ctx, s.key, clientv3.WithCreatedNotify()) {
		if told.Err() != nil {
			return false
		}
		if told.Created || len(told.Events) > 0 {
			tell(changed)
		}
	}
	return context.Cause(ctx) == context.DeadlineExceeded
}

func tell(changed chan<- struct{}) {
	select {
	case changed <- struct{}{}:
	default: // one is there to be received already
	}
}
