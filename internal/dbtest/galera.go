//go:build unix

package dbtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"

	"github.com/sealwright/sealwright/internal/freeport"
)

const galeraProvider = "/usr/lib/galera/libgalera_smm.so"

// StartGalera starts a cluster of two MariaDB servers, which are both written to,
// or returns [ErrNoServer]. They talk to each other on loopback. Both must be
// closed, the second first.
func StartGalera() (first, second *Server, err error) {
	if !exists(galeraProvider) {
		return nil, nil, fmt.Errorf("Galera: %w: no %s", ErrNoServer, galeraProvider)
	}
	addresses, err := freeAddresses(4)
	if err != nil {
		return nil, nil, err
	}
	dir, err := os.MkdirTemp("", "sealwright-sst")
	if err != nil {
		return nil, nil, err
	}
	defer os.RemoveAll(dir)
	if err := putTransfer(dir, "mysql"); err != nil {
		return nil, nil, err
	}
	node := func(own []string, others string, more ...string) (*Server, error) {
		s, err := startMariaDB([]string{transferPath(dir)}, append(more,
			"--wsrep-on=ON", "--wsrep-provider="+galeraProvider, "--binlog-format=ROW", "--innodb-autoinc-lock-mode=2",
			"--wsrep-cluster-name=sealwright", "--wsrep-cluster-address=gcomm://"+others, "--wsrep-node-address="+own[0],
			"--wsrep-sst-method=copy",
			"--wsrep-provider-options=gmcast.listen_addr=tcp://"+own[0]+";ist.recv_addr="+own[1]+";gcache.size=8M"+
				// A machine that is busy for seconds has left no cluster.
				";evs.suspect_timeout=PT30S;evs.inactive_timeout=PT60S;evs.install_timeout=PT60S;gmcast.peer_timeout=PT30S")...)
		if err != nil {
			return nil, err
		}
		if err := s.joined(); err != nil {
			s.Close()
			return nil, err
		}
		return s, s.createApp()
	}
	if first, err = node(addresses[:2], addresses[0], "--wsrep-new-cluster"); err != nil {
		return nil, nil, err
	}
	if second, err = node(addresses[2:], addresses[0]); err != nil {
		first.Close()
		return nil, nil, err
	}
	if err := first.joined(); err != nil { // again: it may have stopped to give the second what it has
		second.Close()
		first.Close()
		return nil, nil, err
	}
	return first, second, nil
}

// joined waits until a node serves: before, it takes connections and refuses each
// statement.
func (s *Server) joined() error {
	return s.until(func(ctx context.Context, db *sql.DB) error {
		met := 0
		err := db.QueryRowContext(ctx, `SELECT COUNT(*) FROM information_schema.GLOBAL_STATUS
			WHERE (VARIABLE_NAME, VARIABLE_VALUE) IN (('WSREP_READY', 'ON'), ('WSREP_LOCAL_STATE_COMMENT', 'Synced'))`).Scan(&met)
		if err == nil && met < 2 {
			err = errors.New("it has not joined")
		}
		return err
	})
}

// freeAddresses returns addresses on loopback at which nobody listens just now.
func freeAddresses(n int) (addresses []string, err error) {
	for range n {
		address, err := freeport.Address()
		if err != nil {
			return nil, err
		}
		addresses = append(addresses, address)
	}
	return addresses, nil
}
