package shamir

// points are the values y of polynomials of degree below n at n places x, one
// polynomial for each byte of the secret, which they determine.
type points struct {
	n int
	x [MaxShares]byte // public, no two the same
	y [][]byte        // secret, and as long as the secret at least
	d [MaxShares]byte // see prepare
}

// prepare computes, once for all places to evaluate at, the denominators of
// the weights: the logarithm of the product of x[j]-x[i] over all i but j.
func (p *points) prepare() {
	for j, xj := range p.x[:p.n] {
		log := 0
		for _, xi := range p.x[:p.n] {
			log += int(logs[xj^xi]) // 0 for i = j
		}
		p.d[j] = byte(log % 255)
	}
}

// evaluate sets dst to the values of the polynomials at x, which is not among
// p.x. As Lagrange has it, they are the sum of all w[j]*y[j], where w[j] is
// the product of (x-x[i])/(x[j]-x[i]) over all i but j.
func (p *points) evaluate(dst []byte, x byte) {
	log := 255 // p.d[j] is less, so that no difference below is negative
	for _, xi := range p.x[:p.n] {
		log += int(logs[x^xi])
	}
	var w [MaxShares]byte
	for j, xj := range p.x[:p.n] {
		w[j] = powers[(log-int(logs[x^xj])-int(p.d[j]))%255]
	}
	dot(dst, w[:p.n], p.y)
}
