package operator

import "net/http"

// A form is how an answer is wrapped.
type form int

const (
	plain   form = iota // as it is
	logical             // in an envelope, as Vault's plugins answer
	both                // in the envelope, and beside it
)

// A route is one method of one path below /v1/sys/; POST is PUT. Its action
// returns what is to be encoded, or nil for 204.
type route struct {
	method, path string
	form         form
	limit        int64 // of the body, in bytes
	act          action
}

type action func(http.ResponseWriter, *http.Request) (any, error)

// The largest bodies that are read: a share and its nonce, and an init with a
// PGP key for each of 255 shares.
const (
	short = 4 << 10
	long  = 4 << 20
)

// table is everything that is served.
func (h *handler) table() []route {
	store := rekey{h, ofStore}
	recovery := rekey{h, ofRecovery}
	atOnce := rekey{h, ofRecoveryAtOnce}
	return []route{
		{"GET", "init", plain, short, h.initialized},
		{"PUT", "init", plain, long, h.initialize},
		{"GET", "seal-status", plain, short, h.sealStatus},
		{"GET", "leader", plain, short, h.leader},
		{"GET", "health", plain, short, h.health},
		{"HEAD", "health", plain, short, h.health},
		{"GET", "seal-backend-status", plain, short, h.backendStatus},

		{"PUT", "unseal", plain, short, h.unseal},
		{"DELETE", "unseal", plain, short, h.cancelMigration},
		{"PUT", "unseal/check", plain, short, h.checkShare},
		{"PUT", "seal", plain, short, h.seal},

		{"GET", "key-status", both, short, h.keyStatus},
		{"PUT", "rotate", logical, short, h.rotate},
		{"GET", "rotate/config", logical, short, h.rotateConfig},
		{"PUT", "rotate/config", logical, short, h.setRotateConfig},
		{"PUT", "rotate/keyring", logical, short, h.rotate},
		{"GET", "rotate/keyring/config", logical, short, h.rotateConfig},
		{"PUT", "rotate/keyring/config", logical, short, h.setRotateConfig},
		{"PUT", "rotate/root", logical, short, h.rotateRoot},

		{"GET", "rekey/init", plain, short, store.status},
		{"PUT", "rekey/init", plain, long, store.begin},
		{"DELETE", "rekey/init", plain, short, store.cancel},
		{"PUT", "rekey/update", plain, short, store.update},
		{"GET", "rekey/verify", plain, short, store.verifyStatus},
		{"PUT", "rekey/verify", plain, short, store.verify},
		{"DELETE", "rekey/verify", plain, short, store.restartVerify},

		{"GET", "rekey-recovery-key/init", plain, short, recovery.status},
		{"PUT", "rekey-recovery-key/init", plain, long, recovery.begin},
		{"DELETE", "rekey-recovery-key/init", plain, short, recovery.cancel},
		{"PUT", "rekey-recovery-key/update", plain, short, recovery.update},
		{"GET", "rekey-recovery-key/verify", plain, short, recovery.verifyStatus},
		{"PUT", "rekey-recovery-key/verify", plain, short, recovery.verify},
		{"DELETE", "rekey-recovery-key/verify", plain, short, recovery.restartVerify},

		{"GET", "rotate/root/init", logical, short, store.status},
		{"PUT", "rotate/root/init", logical, long, store.begin},
		{"DELETE", "rotate/root/init", logical, short, store.cancel},
		{"PUT", "rotate/root/update", logical, short, store.update},
		{"GET", "rotate/root/verify", logical, short, store.verifyStatus},
		{"PUT", "rotate/root/verify", logical, short, store.verify},
		{"DELETE", "rotate/root/verify", logical, short, store.restartVerify},

		{"GET", "rotate/recovery/init", logical, short, atOnce.status},
		{"PUT", "rotate/recovery/init", logical, long, atOnce.begin},
		{"DELETE", "rotate/recovery/init", logical, short, atOnce.cancel},
		{"PUT", "rotate/recovery/update", logical, short, atOnce.update},
		{"GET", "rotate/recovery/verify", logical, short, atOnce.verifyStatus},
		{"PUT", "rotate/recovery/verify", logical, short, atOnce.verify},
		{"DELETE", "rotate/recovery/verify", logical, short, atOnce.restartVerify},

		{"GET", "generate-root/attempt", plain, short, h.tokenStatus},
		{"PUT", "generate-root/attempt", plain, long, h.beginToken},
		{"DELETE", "generate-root/attempt", plain, short, h.cancelToken},
		{"PUT", "generate-root/update", plain, short, h.updateToken},

		{"GET", "generate-root-token/attempt", logical, short, h.tokenStatus},
		{"PUT", "generate-root-token/attempt", logical, long, h.beginToken},
		{"DELETE", "generate-root-token/attempt", logical, short, h.cancelToken},
		{"PUT", "generate-root-token/update", logical, short, h.updateToken},

		{"PUT", "decode-token", both, short, h.decodeToken},
	}
}
