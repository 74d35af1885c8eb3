package vaultstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"slices"
)

// bolt is the bucket "data" of a bbolt file, read without mapping it: a file
// that is cut, or lies about its pages, is an error and no fault of the process.
// It takes no lock and writes nothing. The format is bbolt's, version 2:
//
//	page      id u64 · flags u16 · count u16 · overflow u32
//	meta      magic u32 · version u32 · page size u32 · flags u32 · root u64 · sequence u64 ·
//	          freelist u64 · end u64 · transaction u64 · FNV-64a of all that u64
//	branch    offset u32 · key length u32 · page u64, for each element
//	leaf      flags u32 · offset u32 · key length u32 · value length u32
//	bucket    root u64 · sequence u64, and with the root 0 a page right behind
type bolt struct {
	file readerAt
	size int64
	meta boltMeta
	root boltPage // of the bucket, if it has no page of its own
	page uint64   // of the bucket's root otherwise

	lenient bool // walks go on behind pages that cannot be read
	lost    []error
}

type readerAt interface {
	io.ReaderAt
	io.Closer
}

type boltMeta struct{ pageSize, root, end, txid uint64 }

// A boltPage is a page with what overflows it. Element offsets count from the
// element.
type boltPage []byte

const (
	boltMagic      = 0xED0CDAED
	boltVersion    = 2
	boltBranch     = 0x01
	boltLeaf       = 0x02
	boltHeader     = 16
	boltElement    = 16
	boltMetaSize   = 64
	boltBucketFlag = 0x01
	maxPage        = maxValue + 1<<20
)

func openBolt(f readerAt, size int64, lenient bool) (storage, error) {
	b := &bolt{file: f, size: size, lenient: lenient}
	var err error
	if b.meta, err = b.readMeta(); err != nil {
		return nil, err
	}
	err = b.openBucket()
	if err == nil && lenient {
		var top boltPage
		if top, err = b.top(); err == nil {
			err = top.check()
		}
	}
	if lenient && errors.Is(err, ErrDamaged) {
		return scanBolt(b, err)
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

// openBucket finds the root of the bucket "data".
func (b *bolt) openBucket() error {
	root, err := b.readPage(b.meta.root)
	if err != nil {
		return err
	}
	flags, value, ok, err := b.seek(root, []byte("data"))
	if err != nil {
		return err
	}
	if !ok || flags&boltBucketFlag == 0 {
		return fmt.Errorf("%w: the bbolt file has no bucket data", ErrNoStore)
	}
	if len(value) < 16 {
		return damaged("vault.db", "the bucket data has no root")
	}
	if b.page = binary.LittleEndian.Uint64(value); b.page == 0 {
		b.root = bytes.Clone(value[16:])
	}
	return nil
}

func (b *bolt) kind() Kind      { return KindRaft }
func (b *bolt) Close() error    { return b.file.Close() }
func (b *bolt) damage() []error { return b.lost }

// readMeta returns the newer of the two metas that are whole.
func (b *bolt) readMeta() (boltMeta, error) {
	first, ok := b.metaAt(0)
	if ok {
		if second, good := b.metaAt(int64(first.pageSize)); good && second.txid > first.txid {
			return second, nil
		}
		return first, nil
	}
	for size := int64(1024); size <= 1<<24 && size < b.size; size <<= 1 {
		if m, ok := b.metaAt(size); ok && int64(m.pageSize) == size {
			return m, nil
		}
	}
	return boltMeta{}, fmt.Errorf("%w: the file is neither of bbolt nor a snapshot, or its first pages are damaged", ErrNoStore)
}

func (b *bolt) metaAt(offset int64) (m boltMeta, ok bool) {
	buf := make([]byte, boltHeader+boltMetaSize)
	if _, err := b.file.ReadAt(buf, offset); err != nil {
		return m, false
	}
	return parseMeta(buf[boltHeader:])
}

func parseMeta(p []byte) (m boltMeta, ok bool) {
	le := binary.LittleEndian
	sum := fnv.New64a()
	sum.Write(p[:56])
	if le.Uint32(p) != boltMagic || le.Uint32(p[4:]) != boltVersion || sum.Sum64() != le.Uint64(p[56:]) {
		return m, false
	}
	m = boltMeta{pageSize: uint64(le.Uint32(p[8:])), root: le.Uint64(p[16:]), end: le.Uint64(p[40:]), txid: le.Uint64(p[48:])}
	return m, m.pageSize >= 512 && m.pageSize <= 1<<24 && m.pageSize&(m.pageSize-1) == 0
}

// unchanged returns an error if the file was written to since it was opened.
func (b *bolt) unchanged() error {
	m, err := b.readMeta()
	if err != nil || m != b.meta {
		return ErrChanged
	}
	return nil
}

func (b *bolt) readPage(id uint64) (boltPage, error) {
	if id < 2 || id >= b.meta.end || id > math.MaxInt64/b.meta.pageSize {
		return nil, damaged("vault.db", "page %d is none of the file's", id)
	}
	offset, size := int64(id*b.meta.pageSize), b.meta.pageSize
	head := make([]byte, boltHeader)
	if _, err := b.file.ReadAt(head, offset); err != nil {
		return nil, b.cut(id, err)
	}
	if got := binary.LittleEndian.Uint64(head); got != id {
		return nil, damaged("vault.db", "where page %d should be is page %d", id, got)
	}
	size *= 1 + uint64(binary.LittleEndian.Uint32(head[12:]))
	if size > maxPage {
		return nil, fmt.Errorf("%w: a page of vault.db has %d bytes", ErrTooLarge, size)
	}
	if offset+int64(size) > b.size {
		return nil, b.cut(id, io.ErrUnexpectedEOF)
	}
	page := make([]byte, size)
	if _, err := b.file.ReadAt(page, offset); err != nil {
		return nil, b.cut(id, err)
	}
	return page, nil
}

func (b *bolt) cut(id uint64, err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return damaged("vault.db", "the file of %d bytes is cut: it ends before page %d of %d", b.size, id, b.meta.end)
	}
	return err
}

func (p boltPage) flags() uint16 { return binary.LittleEndian.Uint16(p[8:]) }
func (p boltPage) count() int    { return int(binary.LittleEndian.Uint16(p[10:])) }

// check returns an error if the page cannot hold what it says it does.
func (p boltPage) check() error {
	if len(p) < boltHeader {
		return damaged("vault.db", "a page has no header")
	}
	if f := p.flags(); f != boltBranch && f != boltLeaf {
		return damaged("vault.db", "a page of the tree is neither branch nor leaf")
	}
	if boltHeader+p.count()*boltElement > len(p) {
		return damaged("vault.db", "a page holds less than it says")
	}
	return nil
}

// element returns the key of an element, with the flags and the value in a leaf,
// or the page below in a branch.
func (p boltPage) element(i int) (key, value []byte, flags uint32, below uint64, err error) {
	le := binary.LittleEndian
	at := boltHeader + i*boltElement
	e := p[at : at+boltElement]
	var offset, keySize, size uint64
	if p.flags() == boltBranch {
		offset, keySize, below = uint64(le.Uint32(e)), uint64(le.Uint32(e[4:])), le.Uint64(e[8:])
	} else {
		flags = le.Uint32(e)
		offset, keySize, size = uint64(le.Uint32(e[4:])), uint64(le.Uint32(e[8:])), uint64(le.Uint32(e[12:]))
	}
	start := uint64(at) + offset
	if start+keySize+size > uint64(len(p)) {
		return nil, nil, 0, 0, damaged("vault.db", "an element ends behind its page")
	}
	return p[start : start+keySize], p[start+keySize : start+keySize+size], flags, below, nil
}

// top returns the root page of the bucket.
func (b *bolt) top() (boltPage, error) {
	if b.page == 0 {
		return b.root, nil
	}
	return b.readPage(b.page)
}

// seek finds a key below a page.
func (b *bolt) seek(p boltPage, want []byte) (flags uint32, value []byte, ok bool, err error) {
	for range maxDepth {
		if err := p.check(); err != nil {
			return 0, nil, false, err
		}
		i, err := p.search(want)
		if err != nil {
			return 0, nil, false, err
		}
		if p.flags() == boltLeaf {
			if i < 0 {
				return 0, nil, false, nil
			}
			key, value, flags, _, err := p.element(i)
			return flags, value, err == nil && bytes.Equal(key, want), err
		}
		if p.count() == 0 {
			return 0, nil, false, damaged("vault.db", "a branch is empty")
		}
		_, _, _, below, err := p.element(max(i, 0))
		if err != nil {
			return 0, nil, false, err
		}
		if p, err = b.readPage(below); err != nil {
			return 0, nil, false, err
		}
	}
	return 0, nil, false, damaged("vault.db", "the tree is too deep")
}

// search returns the last element whose key is not above want, or -1.
func (p boltPage) search(want []byte) (int, error) {
	low, high := 0, p.count()
	for low < high {
		middle := (low + high) / 2
		key, _, _, _, err := p.element(middle)
		if err != nil {
			return 0, err
		}
		if bytes.Compare(key, want) <= 0 {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low - 1, nil
}

func (b *bolt) get(key string) ([]byte, bool, error) {
	p, err := b.top()
	if err != nil {
		return nil, false, err
	}
	flags, value, ok, err := b.seek(p, []byte(key))
	if changed := b.unchanged(); changed != nil {
		return nil, false, changed
	}
	if err != nil || !ok || flags&boltBucketFlag != 0 {
		return nil, false, err
	}
	return value, true, nil
}

func (b *bolt) walk(prefix string, f func(string, func() ([]byte, error)) error) error {
	w := &boltWalk{b: b, prefix: []byte(prefix), visit: f, left: min(b.meta.end, uint64(b.size)/b.meta.pageSize)}
	p, err := b.top()
	if err == nil {
		err = w.page(p, 0)
	}
	if changed := b.unchanged(); changed != nil {
		return changed
	}
	if err == errWalked {
		return nil
	}
	return err
}

// errWalked ends a walk behind the last key with the prefix.
var errWalked = errors.New("walked")

// A boltWalk goes through a tree in the order of its keys. That they rise, and
// that no more pages are read than the file has, bounds it.
type boltWalk struct {
	b            *bolt
	prefix, last []byte
	visit        func(string, func() ([]byte, error)) error
	left         uint64
}

func (w *boltWalk) page(p boltPage, depth int) error {
	pages := max(1, uint64(len(p))/w.b.meta.pageSize)
	if w.left < pages {
		err := w.forgive(damaged("vault.db", "the tree is no tree: it has more pages than the file"))
		if err == nil {
			err = errWalked // with what was found
		}
		return err
	}
	w.left -= pages
	if err := p.check(); err != nil {
		return err
	}
	if depth > maxDepth {
		return damaged("vault.db", "the tree is no tree")
	}
	first, err := p.search(w.prefix)
	if err != nil {
		return err
	}
	for i := max(first, 0); i < p.count(); i++ {
		key, value, flags, below, err := p.element(i)
		if err != nil {
			return err
		}
		if i > first && !bytes.HasPrefix(key, w.prefix) {
			return errWalked
		}
		if p.flags() == boltBranch {
			p, err := w.b.readPage(below)
			if err == nil {
				err = w.page(p, depth+1)
			}
			if err = w.forgive(err); err != nil {
				return err
			}
			continue
		}
		if !bytes.HasPrefix(key, w.prefix) || flags&boltBucketFlag != 0 {
			continue
		}
		if w.last != nil && bytes.Compare(key, w.last) <= 0 {
			return damaged("vault.db", "the keys are not in order")
		}
		w.last = append(w.last[:0], key...)
		if err := w.visit(string(key), func() ([]byte, error) { return bytes.Clone(value), nil }); err != nil {
			return err
		}
	}
	return nil
}

// forgive lets a lenient walk go on behind a page that is damaged.
func (w *boltWalk) forgive(err error) error {
	if !w.b.lenient || !errors.Is(err, ErrDamaged) {
		return err
	}
	known := slices.ContainsFunc(w.b.lost, func(old error) bool { return old.Error() == err.Error() })
	if !known && len(w.b.lost) < 1000 {
		w.b.lost = append(w.b.lost, err)
	}
	return nil
}
