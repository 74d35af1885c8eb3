package awskmstest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// secret is what an access key is checked against.
type secret struct {
	secret  string
	token   string    // the session token; "" of a long-lived key
	expires time.Time // the zero value of a long-lived key
}

// SetAccessKey lets the Server know an access key, or gives it another secret;
// an empty one makes it unknown.
func (s *Server) SetAccessKey(id, secretKey string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if secretKey == "" {
		delete(s.secrets, id)
		return
	}
	s.secrets[id] = secret{secret: secretKey}
}

// RevokeSessions makes all temporary credentials unknown that were issued.
func (s *Server) RevokeSessions() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, v := range s.secrets {
		if v.token != "" {
			delete(s.secrets, id)
		}
	}
}

// ExpireSessions lets all temporary credentials expire that were issued.
func (s *Server) ExpireSessions() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, v := range s.secrets {
		if v.token != "" {
			v.expires = time.Unix(0, 0)
			s.secrets[id] = v
		}
	}
}

// authenticate checks the signature of a request (Signature Version 4) and
// returns the region that it is for. The caller holds the lock.
func (s *Server) authenticate(r *http.Request, body []byte, service string, now time.Time) (string, *apiError) {
	const scheme = "AWS4-HMAC-SHA256"
	auth, ok := strings.CutPrefix(r.Header.Get("Authorization"), scheme+" ")
	if !ok {
		return "", fail("MissingAuthenticationTokenException", "Missing Authentication Token")
	}
	field := make(map[string]string)
	for part := range strings.SplitSeq(auth, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		field[name] = value
	}
	scope := strings.Split(field["Credential"], "/")
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if len(scope) != 5 || err != nil || scope[1] != at.Format("20060102") || scope[3] != service || scope[4] != "aws4_request" {
		return "", fail("IncompleteSignatureException", "Credential must have the form KEY/DATE/REGION/%s/aws4_request", service)
	}
	known, ok := s.secrets[scope[0]]
	if !ok || known.token != r.Header.Get("X-Amz-Security-Token") {
		return "", fail("UnrecognizedClientException", "The security token included in the request is invalid.")
	}
	if !known.expires.IsZero() && now.After(known.expires) {
		return "", fail("ExpiredTokenException", "The security token included in the request is expired")
	}
	const layout, limit = "20060102T150405Z", 5 * time.Minute
	if at.Before(now.Add(-limit)) {
		return "", fail("InvalidSignatureException", "Signature expired: %s is now earlier than %s (%s - 5 min.)",
			at.Format(layout), now.Add(-limit).UTC().Format(layout), now.UTC().Format(layout))
	}
	if at.After(now.Add(limit)) {
		return "", fail("InvalidSignatureException", "Signature not yet current: %s is still later than %s (%s + 5 min.)",
			at.Format(layout), now.Add(limit).UTC().Format(layout), now.UTC().Format(layout))
	}

	canonical := canonicalRequest(r, body, strings.Split(field["SignedHeaders"], ";"))
	mac := []byte("AWS4" + known.secret)
	for _, part := range scope[1:] {
		mac = sum(mac, part)
	}
	digest := sha256.Sum256([]byte(canonical))
	want := sum(mac, strings.Join([]string{scheme, r.Header.Get("X-Amz-Date"), strings.Join(scope[1:], "/"), hex.EncodeToString(digest[:])}, "\n"))
	got, err := hex.DecodeString(field["Signature"])
	if err != nil || !hmac.Equal(got, want) {
		return "", fail("InvalidSignatureException", "The request signature we calculated does not match the signature you provided. "+
			"Check your AWS Secret Access Key and signing method. Consult the service documentation for details.\n\n"+
			"The Canonical String for this request should have been\n'%s'", canonical)
	}
	return scope[2], nil
}

// canonicalRequest is what is signed. Paths and queries that need encoding do
// not occur here.
func canonicalRequest(r *http.Request, body []byte, headers []string) string {
	var lines strings.Builder
	for _, h := range headers {
		value := strings.Join(r.Header.Values(h), ",")
		switch h {
		case "host":
			value = r.Host
		case "content-length":
			value = fmt.Sprint(r.ContentLength)
		}
		fmt.Fprintf(&lines, "%s:%s\n", h, strings.TrimSpace(value))
	}
	if !slices.Contains(headers, "host") || r.Header.Get("X-Amz-Security-Token") != "" && !slices.Contains(headers, "x-amz-security-token") {
		return "host and token are not signed"
	}
	digest := sha256.Sum256(body)
	return strings.Join([]string{
		r.Method, r.URL.EscapedPath(), r.URL.RawQuery, lines.String(), strings.Join(headers, ";"), hex.EncodeToString(digest[:]),
	}, "\n")
}

func sum(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
