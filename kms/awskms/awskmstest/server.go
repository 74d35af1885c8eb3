// Package awskmstest is an AWS KMS on a loopback address, for the tests of
// programs that use package awskms or the SDK itself. It also plays as much of
// STS, and of the endpoint of EKS Pod Identity, as credentials take. It is not
// for production: nothing in it is protected.
//
//	server := awskmstest.NewServer()
//	defer server.Close()
//	w, err := awskms.New(awskms.Config{
//		KeyID:           server.CreateKey(),
//		Endpoint:        server.URL,
//		AccessKeyID:     awskmstest.AccessKeyID,
//		SecretAccessKey: awskmstest.SecretAccessKey,
//	})
//
// One Server is every region: which one a request is for stands in its
// signature. A request that is not signed, or signed wrongly, or too early, or
// too late, is refused as by AWS.
//
// # Concurrency
//
// A [Server] is safe for concurrent use.
package awskmstest

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The access key that every [Server] knows, and what its keys belong to.
const (
	AccessKeyID     = "AKIAIOSFODNN7EXAMPLE"
	SecretAccessKey = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	AccountID       = "111122223333"
	Region          = "eu-west-1"
)

// A Server is a KMS. Make one with [NewServer].
type Server struct {
	// URL is the address of KMS, and of STS: "http://127.0.0.1:1234".
	URL string

	http *httptest.Server
	done chan struct{}

	mu      sync.Mutex
	keys    map[string]*key   // by key id
	aliases map[string]string // "alias/name" to key id
	secrets map[string]secret // by access key id
	tokens  map[string]bool   // the web identity and pod tokens that are accepted
	issued  int
	fault   Fault
	sts     Fault
	bare    bool
	count   map[string]int
	hosts   []string
}

// A Fault is what goes wrong with requests. The zero Fault is nothing.
type Fault struct {
	Op string // the operation it concerns, as "Decrypt"; "" means every one

	Arrived func(op string) // called for each request that it concerns
	Latency time.Duration   // how long the answer takes
	Hang    bool            // there is no answer until the client leaves
	Left    func(op string) // called when the client left a request that hangs
	Drop    bool            // the connection breaks
	Skew    time.Duration   // how far the server's clock is ahead

	Code       string        // the error to answer, as "ThrottlingException"
	Message    string        // its text
	Status     int           // its HTTP status; 0 means 400
	RetryAfter time.Duration // what it asks for, in whole seconds
	Body       string        // the answer, in place of what KMS would write

	// Corrupt flips a bit of the ciphertext on its way.
	Corrupt bool
	// Lie alters an answer: [WrongKeyID], [WrongPlaintext], or one's own.
	Lie func(op string, answer map[string]any)
}

// WrongKeyID is a lie: another key has answered.
func WrongKeyID(_ string, answer map[string]any) {
	if _, ok := answer["KeyId"]; ok {
		answer["KeyId"] = arn(Region, "ffffffff-ffff-4fff-8fff-ffffffffffff")
	}
}

// WrongPlaintext is a lie: the key is garbage of the right length.
func WrongPlaintext(_ string, answer map[string]any) {
	if p, ok := answer["Plaintext"].([]byte); ok {
		answer["Plaintext"] = bytes.Repeat([]byte{0x5a}, len(p))
	}
}

// NewServer starts a Server without keys. The caller closes it.
func NewServer() *Server {
	s := &Server{
		done:    make(chan struct{}),
		keys:    make(map[string]*key),
		aliases: make(map[string]string),
		secrets: map[string]secret{AccessKeyID: {secret: SecretAccessKey}},
		tokens:  make(map[string]bool),
		count:   make(map[string]int),
	}
	s.http = httptest.NewServer(http.HandlerFunc(s.serve))
	s.URL = s.http.URL
	return s
}

// Close stops the Server. Requests that hang end.
func (s *Server) Close() {
	close(s.done)
	s.http.CloseClientConnections()
	s.http.Close()
}

// Client returns an HTTP client that sends every request to the Server,
// whatever host it names, so that the regions' own endpoints can be tested.
func (s *Server) Client() *http.Client {
	return &http.Client{Transport: redirect{s.http.Listener.Addr(), s.http.Client().Transport}}
}

type redirect struct {
	to   net.Addr
	next http.RoundTripper
}

func (r redirect) RoundTrip(req *http.Request) (*http.Response, error) {
	out := req.Clone(req.Context())
	out.Host = cmp.Or(req.Host, req.URL.Host) // it is signed
	out.URL.Scheme, out.URL.Host = "http", r.to.String()
	return r.next.RoundTrip(out)
}

// Inject lets KMS suffer f from now on, in place of any earlier Fault.
func (s *Server) Inject(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// InjectSTS does the same to STS and to the endpoint of Pod Identity.
func (s *Server) InjectSTS(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sts = f
}

// Requests returns how many requests of an operation arrived, as "Decrypt",
// "AssumeRoleWithWebIdentity" or "PodIdentity"; "" means all of them.
func (s *Server) Requests(op string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count[op]
}

// Hosts returns the hosts that the requests named, in the order of arrival.
func (s *Server) Hosts() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.hosts...)
}

// apiError is what an operation fails with.
type apiError struct {
	code, message string
	status        int
}

func fail(code, format string, args ...any) *apiError {
	return &apiError{code, fmt.Sprintf(format, args...), http.StatusBadRequest}
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	kms := strings.HasPrefix(r.Header.Get("X-Amz-Target"), "TrentService.")
	op := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "TrentService.")
	if !kms {
		op = stsOperation(r, body)
	}
	f := s.arrive(op, kms, r.Host)
	if f.Arrived != nil {
		f.Arrived(op)
	}
	if f.Hang {
		if s.wait(r.Context(), nil); f.Left != nil {
			f.Left(op)
		}
		return
	}
	if f.Latency > 0 {
		s.wait(r.Context(), time.After(f.Latency))
	}
	if f.Drop {
		panic(http.ErrAbortHandler)
	}
	now := time.Now().Add(f.Skew)
	w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
	w.Header().Set("X-Amzn-Requestid", fmt.Sprintf("00000000-0000-4000-8000-%012d", s.Requests("")))
	if f.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(f.RetryAfter/time.Second)))
	}
	status := f.Status
	if status == 0 {
		status = http.StatusBadRequest
	}
	switch {
	case f.Body != "":
		w.WriteHeader(status)
		io.WriteString(w, f.Body)
	case kms:
		s.serveKMS(w, r, body, op, f, status, now)
	default:
		s.serveSTS(w, r, body, op, f, status, now)
	}
}

func (s *Server) arrive(op string, kms bool, host string) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count[op]++
	s.count[""]++
	s.hosts = append(s.hosts, host)
	f := s.sts
	if kms {
		f = s.fault
	}
	if f.Op != "" && f.Op != op {
		return Fault{}
	}
	return f
}

func (s *Server) wait(ctx context.Context, c <-chan time.Time) {
	select {
	case <-c:
	case <-ctx.Done():
	case <-s.done:
	}
}
