// Package gcpckmstest is a Google Cloud KMS in memory: it speaks the service's
// gRPC over TLS on a loopback address, and issues access tokens, so that a test
// can use a [gcpckms.Wrapper] or Google's own client without a cloud. It is not
// for production: its keys are no secret.
//
// # Configuration
//
// [Server.Config] is all that a Wrapper needs. Keys are called by short names,
// and created when they are first named.
//
// # Permissions
//
// A request needs a token: one that the Server issued, or one that a service
// account it knows has signed. There is no IAM; [kmstest.Denied] stands for it.
//
// # Limits
//
// Of the service there are Encrypt, Decrypt and GetCryptoKey, with software
// keys of purpose ENCRYPT_DECRYPT.
//
// # Errors
//
// They have the codes, details and words that the service has been seen to
// use. The faults are those of package kmstest, with three differences that are
// the service's own: what is damaged on its way is noticed by a checksum, so
// that Truncated and Extended end as an Unavailable or InvalidArgument of the
// checksum; an answer of Decrypt names no key, so that WrongKeyID does nothing
// to it; and NoDNS is a server error, since a server cannot have it.
package gcpckmstest

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/kms/apiv1/kmspb"
	"github.com/sealwright/sealwright/kms/gcpckms"
	"github.com/sealwright/sealwright/kms/kmstest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// A Server is a KMS. It is safe for concurrent use.
type Server struct {
	kmspb.UnimplementedKeyManagementServiceServer
	http *httptest.Server
	grpc *grpc.Server

	mu        sync.Mutex
	keys      map[string]*key // by KeyID
	script    func(kmstest.Call) kmstest.Fault
	intercept grpc.UnaryServerInterceptor
	requests  []Request
	wrapped   []byte // the last plaintext that was encrypted

	skew     time.Duration
	tokens   map[string]bool
	accounts map[string]account // by key id
	issue    http.HandlerFunc
	issued   int
}

// A Request is one that reached the KMS.
type Request struct {
	Method   string // "Encrypt", "Decrypt", "GetCryptoKey"
	Metadata metadata.MD
}

// curves and sessions make handshakes cheap, of which a Wrapper makes one a request.
var curves = []tls.CurveID{tls.CurveP256}

// NewServer starts a Server. The caller closes it. It panics where no loopback
// address can be had, as [httptest.NewServer] does.
func NewServer() *Server {
	s := &Server{keys: make(map[string]*key), tokens: make(map[string]bool), accounts: make(map[string]account)}
	s.grpc = grpc.NewServer(grpc.ChainUnaryInterceptor(s.receive, s.custom, s.suffer))
	kmspb.RegisterKeyManagementServiceServer(s.grpc, s)
	s.http = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.http.EnableHTTP2 = true
	s.http.Config.ErrorLog = log.New(io.Discard, "", 0) // clients come and go
	s.http.TLS = &tls.Config{Certificates: []tls.Certificate{certificate()}, CurvePreferences: curves}
	s.http.StartTLS()
	client := s.http.Client().Transport.(*http.Transport).TLSClientConfig
	client.CurvePreferences = curves
	client.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	return s
}

// Close stops the Server, and waits for the requests it is still answering.
func (s *Server) Close() {
	s.http.CloseClientConnections()
	s.http.Close()
	s.grpc.Stop()
}

// serve splits what arrives between the KMS and the issuer of tokens. The Date
// of all answers is the Server's clock.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Date", s.now().UTC().Format(http.TimeFormat))
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
		s.grpc.ServeHTTP(w, r) // which sets a Date of its own
		return
	}
	s.mu.Lock()
	issue := s.issue
	s.mu.Unlock()
	if issue == nil {
		issue = s.exchange
	}
	issue(w, r)
}

// Endpoint is the address of the KMS, as host:port.
func (s *Server) Endpoint() string { return s.http.Listener.Addr().String() }

// TLS returns a new configuration that trusts the Server.
func (s *Server) TLS() *tls.Config {
	return s.http.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
}

// Config returns what a [gcpckms.Wrapper] of the key needs, with a new token.
func (s *Server) Config(key string) gcpckms.Config {
	token := s.Token()
	return gcpckms.Config{
		KeyID:    s.KeyID(key),
		Endpoint: s.Endpoint(),
		TLS:      s.TLS(),
		Token: func(context.Context) (*auth.Token, error) {
			return &auth.Token{Value: token}, nil
		},
	}
}

// Token returns a new access token, valid until [Server.Revoke] is called.
func (s *Server) Token() string {
	token := "ya29." + strings.Repeat(rand.Text(), 6) // as long as a real one
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[token] = true
	return token
}

// Skew sets how far the clock of the KMS and of the issuer of tokens is ahead
// of the machine's.
func (s *Server) Skew(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.skew = d
}

func (s *Server) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Add(s.skew)
}

// Script lets a function decide what happens to every request from now on; nil
// ends it. It is called before the KMS does anything, and may use the Server.
// The Call has the short name of the key.
func (s *Server) Script(script func(kmstest.Call) kmstest.Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = script
}

// Intercept puts a function between the client and the KMS, for what no Fault
// describes: it sees, and may change, requests and answers. nil takes it away.
func (s *Server) Intercept(f grpc.UnaryServerInterceptor) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.intercept = f
}

// Requests returns what reached the KMS, in the order of arrival, also where it
// then was refused.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// receive notes a request, and lets only those with a valid token pass.
func (s *Server) receive(ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	s.mu.Lock()
	s.requests = append(s.requests, Request{Method: info.FullMethod[strings.LastIndex(info.FullMethod, "/")+1:], Metadata: md})
	n := len(s.requests)
	s.mu.Unlock()
	date := s.now()
	defer func() { grpc.SetHeader(ctx, metadata.Pairs("date", date.UTC().Format(http.TimeFormat))) }()
	if !s.admits(strings.Join(md.Get("authorization"), ",")) {
		return nil, unauthenticated("ACCESS_TOKEN_TYPE_UNSUPPORTED")
	}
	return next(context.WithValue(ctx, arrival{}, &arrival{n, &date}), request)
}

// An arrival is a request's number, and the time that its answer will show. It
// is also the key of its context.
type arrival struct {
	n    int
	date *time.Time
}

func (s *Server) custom(ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	s.mu.Lock()
	f := s.intercept
	s.mu.Unlock()
	if f == nil {
		return next(ctx, request)
	}
	return f(ctx, request, info, next)
}

// KeyID returns the resource name of the key, and creates the key if there is
// none of that name.
func (s *Server) KeyID(name string) string {
	id := fmt.Sprintf("projects/test/locations/europe-west3/keyRings/sealwright/cryptoKeys/%s", name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keys[id] == nil {
		s.keys[id] = newKey(id, 1)
	}
	return id
}
