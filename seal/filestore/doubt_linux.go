package filestore

import "syscall"

// fsDoubts are the file systems on which a Store may lose what it stored, by
// the magic number that statfs(2) gives, from linux/magic.h.
var fsDoubts = map[uint32]string{
	0x6969:     "NFS" + fsRemote,
	0x517b:     "SMB" + fsRemote,
	0xfe534d42: "SMB" + fsRemote,
	0xff534d42: "SMB" + fsRemote,
	0x01021997: "a 9P share" + fsRemote,
	0x65735546: "FUSE, where syncing and locking do what its server makes of them",
	0x01021994: "a file system in memory (tmpfs): the record is gone when it is unmounted or the machine stops",
	0x858458f6: "a file system in memory (ramfs): the record is gone when it is unmounted or the machine stops",
	0x794c7630: "the writable layer of a container (overlayfs): the record is gone with the container",
}

const fsRemote = ", where syncing and locking are the server's and a second machine may see old content: use a store that is made for several machines"

// fileSystemDoubt returns what to hold against the file system of a directory,
// or "".
func fileSystemDoubt(dir string) string {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return ""
	}
	return fsDoubts[uint32(st.Type)]
}
