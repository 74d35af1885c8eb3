package record_test

// A queue keeps the worlds that are to be visited, in blocks: a slice of them all
// would be copied whenever it grows, which took a third of the model's time.
type queue struct {
	blocks [][]world // the first is read, the last is written
	read   int       // of the first
	spare  []world   // a block that was read
	length int
}

const blockOfWorlds = 64

func (q *queue) push(w *world) {
	last := len(q.blocks) - 1
	if last < 0 || len(q.blocks[last]) == blockOfWorlds {
		if q.spare == nil {
			q.spare = make([]world, 0, blockOfWorlds)
		}
		q.blocks, q.spare = append(q.blocks, q.spare), nil
		last++
	}
	q.blocks[last] = append(q.blocks[last], *w)
	q.length++
}

func (q *queue) pop() world {
	w := q.blocks[0][q.read]
	q.length--
	if q.read++; q.read == len(q.blocks[0]) {
		q.spare, q.blocks, q.read = q.blocks[0][:0], q.blocks[1:], 0
	}
	return w
}
