package operator

import (
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/sealwright/sealwright/seal"
	"github.com/sealwright/sealwright/seal/sealhttp"
)

// sealStatusBody has the fields of Vault's and OpenBao's seal-status, and after
// them what only this server knows.
type sealStatusBody struct {
	Type             string `json:"type"`
	Initialized      bool   `json:"initialized"`
	Sealed           bool   `json:"sealed"`
	T                int    `json:"t"`
	N                int    `json:"n"`
	Progress         int    `json:"progress"`
	Nonce            string `json:"nonce"`
	Version          string `json:"version"`
	BuildDate        string `json:"build_date"`
	CommitDate       string `json:"commit_date"`
	Migration        bool   `json:"migration"`
	ClusterName      string `json:"cluster_name,omitempty"`
	ClusterID        string `json:"cluster_id,omitempty"`
	RecoverySeal     bool   `json:"recovery_seal"`
	RecoverySealType string `json:"recovery_seal_type,omitempty"`
	StorageType      string `json:"storage_type,omitempty"`

	// Not "warnings": bao read would take the answer for an envelope.
	Notes      []string       `json:"notes,omitempty"`
	Replica    string         `json:"replica"`
	Reason     string         `json:"reason,omitempty"` // why it is sealed
	Store      string         `json:"store,omitempty"`
	Generation uint64         `json:"generation,omitempty"`
	Slots      []slotBody     `json:"slots,omitempty"`
	Operation  *operationBody `json:"operation,omitempty"`
}

type slotBody struct {
	Name        string   `json:"name"`
	Spec        string   `json:"spec"`
	State       string   `json:"state"`
	Sets        []uint32 `json:"sets,omitempty"`
	Fingerprint string   `json:"fingerprint"`
	Given       int      `json:"given"`
	Proven      string   `json:"proven,omitempty"`
}

type operationBody struct {
	ID       string         `json:"id"`
	Kind     string         `json:"kind"`
	Slot     string         `json:"slot,omitempty"`
	Replica  string         `json:"replica"`
	Progress map[string]int `json:"progress,omitempty"` // shares given, by slot
}

func (h *handler) sealStatus(_ http.ResponseWriter, r *http.Request) (any, error) {
	return h.sealStatusOf(r, h.look(r.Context())), nil
}

func (h *handler) sealStatusOf(r *http.Request, v view, notes ...string) sealStatusBody {
	out := sealStatusBody{
		Initialized: v.initialized, Sealed: v.Sealed, Version: h.Version, BuildDate: builtAt(), CommitDate: builtAt(),
		Migration: v.pending, StorageType: h.StorageType,
		Notes: notes, Replica: v.Replica, Store: v.Store, Generation: v.Generation,
	}
	if out.Type, out.RecoverySeal = v.sealType(); out.RecoverySeal {
		out.RecoverySealType = "shamir"
	}
	if s := v.people(h.People); s != nil {
		out.T, out.N = quorum(s.Spec)
		out.Progress = given(v.Progress, s.Name)
	}
	for _, s := range v.Slots {
		b := slotBody{Name: s.Name, Spec: s.Spec.String(), State: string(s.State), Sets: s.Sets, Fingerprint: s.Fingerprint, Given: given(v.Progress, s.Name)}
		if !s.Proven.IsZero() {
			b.Proven = s.Proven.Format(time.RFC3339)
		}
		out.Slots = append(out.Slots, b)
	}
	if o := v.Operation; o != nil {
		b := operationBody{ID: string(o.ID), Kind: string(o.Kind), Slot: o.Slot, Replica: o.Replica, Progress: map[string]int{}}
		for _, p := range o.Progress {
			b.Progress[p.Slot] = max(b.Progress[p.Slot], p.Given)
		}
		out.Operation = &b
	}
	if !v.Sealed {
		out.ClusterName, out.ClusterID = h.ClusterName, v.Store
	}
	detailed := h.Authorize(r, Detail) == nil
	if v.Reason != nil {
		out.Reason = sealhttp.Kind(v.Reason)
		if detailed {
			out.Reason = v.Reason.Error()
		}
	}
	if detailed {
		out.Notes = append(out.Notes, v.Warnings...)
		if v.planErr != nil {
			out.Notes = append(out.Notes, v.planErr.Error())
		}
	}
	return out
}

// builtAt is when the commit was made that the program was built from; empty
// where it is not known.
func builtAt() string {
	info, _ := debug.ReadBuildInfo()
	if info != nil {
		for _, s := range info.Settings {
			if s.Key == "vcs.time" {
				return s.Value
			}
		}
	}
	return ""
}

// leader answers that there is no cluster: every replica of this server is on
// its own. The tools need the answer.
func (h *handler) leader(http.ResponseWriter, *http.Request) (any, error) {
	return map[string]any{
		"ha_enabled": false, "is_self": false, "active_time": time.Time{}, "leader_address": "", "leader_cluster_address": "",
		"performance_standby": false, "performance_standby_last_remote_wal": 0,
	}, nil
}

// health answers with a code for load balancers, which a query can set.
func (h *handler) health(_ http.ResponseWriter, r *http.Request) (any, error) {
	v := h.look(r.Context())
	name, code := "activecode", http.StatusOK
	switch {
	case !v.initialized:
		name, code = "uninitcode", http.StatusNotImplemented
	case v.Sealed:
		name, code = "sealedcode", http.StatusServiceUnavailable
	}
	if text := r.URL.Query().Get(name); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 200 || n > 599 {
			return nil, badRequest(name + " must be an HTTP status code, 200 to 599")
		}
		code = n
	}
	body := map[string]any{
		"initialized": v.initialized, "sealed": v.Sealed, "standby": false, "performance_standby": false,
		"replication_performance_mode": "disabled", "replication_dr_mode": "disabled",
		"server_time_utc": time.Now().UTC().Unix(), "version": h.Version, "enterprise": false,
		"echo_duration_ms": 0, "clock_skew_ms": 0, "replication_primary_canary_age_ms": 0,
	}
	if !v.Sealed {
		body["cluster_name"], body["cluster_id"] = h.ClusterName, v.Store
	}
	return withCode{code, body}, nil
}

// backendStatus tells of the slots' last drill.
func (h *handler) backendStatus(_ http.ResponseWriter, r *http.Request) (any, error) {
	if err := h.authorize(r, KeyStatus); err != nil {
		return nil, err
	}
	type backend struct {
		Name    string `json:"name"`
		Healthy bool   `json:"healthy"`
		Reason  string `json:"reason,omitempty"`
		Drilled string `json:"drilled,omitempty"`
	}
	healthy, backends := true, []backend{}
	v := h.look(r.Context())
	for _, s := range v.Slots {
		if s.State == seal.SlotPending {
			continue
		}
		b := backend{Name: s.Name, Healthy: s.DrillError == nil}
		if s.DrillError != nil {
			b.Reason, healthy = s.DrillError.Error(), false
		}
		if !s.Drilled.IsZero() {
			b.Drilled = s.Drilled.UTC().Format(time.RFC3339)
		}
		backends = append(backends, b)
	}
	return map[string]any{"healthy": healthy, "backends": backends, "fully_wrapped": !v.pending}, nil
}
