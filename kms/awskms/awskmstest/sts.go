package awskmstest

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// PodIdentityPath is where the Server answers as the endpoint of EKS Pod Identity,
// for AWS_CONTAINER_CREDENTIALS_FULL_URI.
const PodIdentityPath = "/v1/credentials"

// SetToken lets the Server accept one token, of a web identity or of a pod, and
// no other any more.
func (s *Server) SetToken(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tokens)
	s.tokens[token] = true
}

func stsOperation(r *http.Request, body []byte) string {
	if r.URL.Path == PodIdentityPath {
		return "PodIdentity"
	}
	form, _ := url.ParseQuery(string(body))
	return form.Get("Action")
}

// session is what STS and that endpoint issue.
type session struct {
	AccessKeyId     string
	SecretAccessKey string
	SessionToken    string `json:"Token"`
	Expiration      string
}

func (s *Server) serveSTS(w http.ResponseWriter, r *http.Request, body []byte, op string, f Fault, status int, now time.Time) {
	v, role, e := s.issue(r, body, op, now)
	if e == nil && f.Code != "" {
		e = &apiError{f.Code, f.Message, status}
	}
	if op == "PodIdentity" {
		w.Header().Set("Content-Type", "application/json")
	}
	switch {
	case op == "PodIdentity" && e != nil:
		w.WriteHeader(e.status)
		json.NewEncoder(w).Encode(map[string]string{"code": e.code, "message": e.message})
	case op == "PodIdentity":
		json.NewEncoder(w).Encode(v)
	case e != nil:
		w.WriteHeader(e.status)
		io.WriteString(w, "<ErrorResponse><Error><Code>")
		xml.EscapeText(w, []byte(e.code))
		io.WriteString(w, "</Code><Message>")
		xml.EscapeText(w, []byte(e.message))
		io.WriteString(w, "</Message></Error><RequestId>1</RequestId></ErrorResponse>")
	default:
		fmt.Fprintf(w, "<%[1]sResponse><%[1]sResult><AssumedRoleUser><Arn>", op)
		xml.EscapeText(w, []byte(role))
		io.WriteString(w, "</Arn><AssumedRoleId>AROAEXAMPLE:session</AssumedRoleId></AssumedRoleUser>")
		xml.NewEncoder(w).EncodeElement(v, xml.StartElement{Name: xml.Name{Local: "Credentials"}})
		fmt.Fprintf(w, "</%[1]sResult></%[1]sResponse>", op)
	}
}

// issue returns new credentials to whoever may have them.
func (s *Server) issue(r *http.Request, body []byte, op string, now time.Time) (session, string, *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	form, _ := url.ParseQuery(string(body))
	role := form.Get("RoleArn")
	switch op {
	case "AssumeRole":
		if _, e := s.authenticate(r, body, "sts", now); e != nil {
			return session{}, "", e
		}
	case "AssumeRoleWithWebIdentity":
		if !s.tokens[form.Get("WebIdentityToken")] {
			return session{}, "", fail("InvalidIdentityToken", "Couldn't retrieve verification key from your identity provider")
		}
	case "PodIdentity":
		if !s.tokens[r.Header.Get("Authorization")] {
			return session{}, "", fail("AccessDeniedException", "the token is not valid")
		}
	default:
		return session{}, "", fail("InvalidAction", "Could not find operation %q", op)
	}
	s.issued++
	id := fmt.Sprintf("ASIAEXAMPLE%09d", s.issued)
	v := secret{secret: "secret-of-" + id, token: "session-token-of-" + id, expires: now.Add(time.Hour)}
	s.secrets[id] = v
	return session{id, v.secret, v.token, v.expires.UTC().Format(time.RFC3339)}, role + "/" + form.Get("RoleSessionName"), nil
}
