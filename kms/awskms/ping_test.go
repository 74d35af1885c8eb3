package awskms

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/fips140"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// wire is a connection that a firewall can drop: nothing arrives any more, and
// nobody is told.
type wire struct {
	net.Conn
	cut    chan struct{}
	closed chan struct{}
	once   sync.Once
}

func (w *wire) Write(b []byte) (int, error) {
	select {
	case <-w.cut:
		return len(b), nil
	default:
		return w.Conn.Write(b)
	}
}

func (w *wire) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	select {
	case <-w.cut:
		<-w.closed
		return 0, net.ErrClosed
	default:
		return n, err
	}
}

func (w *wire) Close() error {
	w.once.Do(func() { close(w.closed) })
	return w.Conn.Close()
}

// pipes is a network in memory.
type pipes struct {
	waiting chan net.Conn
	done    chan struct{}
	wires   []*wire
}

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	w := &wire{Conn: near, cut: make(chan struct{}), closed: make(chan struct{})}
	p.wires = append(p.wires, w)
	select {
	case p.waiting <- far:
		return w, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.waiting:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// TestDeadConnection: an HTTP/2 connection that a firewall dropped without a word
// costs the calls of about 15 seconds, and not all calls for ever.
func TestDeadConnection(t *testing.T) {
	if fips140.Enabled() {
		t.Skip("the FIPS module draws its randomness outside of the bubble")
	}
	synctest.Test(t, func(t *testing.T) {
		network := &pipes{waiting: make(chan net.Conn), done: make(chan struct{})}
		server := &http.Server{
			Handler:   http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "answer") }),
			TLSConfig: &tls.Config{Certificates: []tls.Certificate{selfSigned(t)}},
			ErrorLog:  log.New(io.Discard, "", 0),
		}
		served := make(chan struct{})
		go func() { defer close(served); server.ServeTLS(network, "", "") }()
		client := pinging(awshttp.NewBuildableClient().WithTransportOptions(func(tr *http.Transport) {
			tr.DialContext, tr.TLSClientConfig = network.dial, &tls.Config{InsecureSkipVerify: true}
		}))
		if err := get(t, client); err != nil {
			t.Fatal(err)
		}
		close(network.wires[0].cut)
		dropped := time.Now()
		failed := 0
		for get(t, client) != nil {
			if failed++; failed == 10 {
				t.Fatalf("no answer %v after the connection died", time.Since(dropped))
			}
		}
		if d := time.Since(dropped); d > 20*time.Second || len(network.wires) != 2 {
			t.Errorf("it took %v and %d connections", d, len(network.wires))
		}
		close(network.done)
		server.Close()
		for _, w := range network.wires {
			w.Close()
		}
		<-served
	})
}

// get makes a call as a Wrapper does, with ten seconds.
func get(t *testing.T, client aws.HTTPClient) error {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://kms.eu-west-1.amazonaws.com/", http.NoBody)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.ProtoMajor != 2 {
		t.Fatalf("the answer is %s", resp.Proto)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

func selfSigned(t *testing.T) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
