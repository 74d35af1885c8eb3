// Package localkms wraps keys with a key in a file. Use it where there is no KMS
// and nobody to type shares: on a single machine, in a test system, or as one
// member of several in a seal. It is not a KMS.
//
// # What it does not protect
//
// Whoever reads the file opens everything. If the file lies on the disk that the
// data lies on, a copy of that disk, its backup or its snapshot is a copy of the
// data in the clear; the seal then protects nothing from anybody who has the
// disk. Root on the machine reads it at any time. No one counts or logs its use,
// and nobody can take it back: there is no permission to withdraw. It does
// protect a database, or a backup of one, that travels without the file. Keep
// the file where the data is not: on another volume, in a Kubernetes secret, on
// a memory file system that something else fills at boot.
//
// If the file is lost, so is what it wrapped. Keep a copy apart from the data, or
// have a second slot.
//
// # Configuration
//
//	Path  the file; Create makes it
//	Warn  is told of a file that its group may read; without it, that is refused
//
// A symbolic link is followed, also one as Kubernetes mounts secrets (..data).
// The file is read for each call, and no key stays in memory: a file that is
// replaced or mounted late is noticed by the next call.
//
// # Permissions
//
// The process must be able to read the file, and for [Wrapper.Rotate] to write
// to its directory. On Unix a file with any permission for other users is
// refused, and one with a permission for its group too, unless Warn is set:
// Kubernetes gives the group of a pod (fsGroup) such permissions whatever it is
// asked. On Windows access lists govern, and nothing is checked.
//
// # Format
//
// The file is text, written and read by this package alone:
//
//	sealwright localkms 1
//	1 <the first version's 32 bytes in base64>
//	2 <the second's>
//	check <32 bytes in hex>
//
// The first line names the format. The versions count from 1 without a gap, at
// most 1,000; the last one wraps, every one unwraps. The check is HKDF-SHA256 of
// all lines above; it tells a damaged file from a right one, and protects from
// nobody. The key's id is 16 bytes of HKDF-SHA256 from the first version, in hex:
// copies of a file have the same id, rotated or not, and no two files made apart
// have.
//
// The ciphertext of a blob is a committing box of AES-256-GCM under a key
// derived from the version's for this blob alone, with the binding as associated
// data:
//
//	salt (16) ‖ commitment (16) ‖ nonce (12) ‖ ciphertext ‖ tag (16)
//
// # Concurrency
//
// A [Wrapper] is safe for concurrent use, by several processes too.
//
// # Errors
//
//	ErrUnavailable    the file cannot be read now; the context ended
//	ErrDenied         the process may not read the file
//	ErrKeyGone        no such file, a damaged one, or a version that it has not
//	ErrWrongKey       a blob of another file
//	ErrCorrupt        a blob that was altered, or is bound to another place
//	ErrMisconfigured  a file of another kind, or open to other users
//
// # Compatibility
//
// Every release reads the files and the blobs of every earlier one.
package localkms
