package policy

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	networkingv1 "k8s.io/api/networking/v1"
)

// Hash is the canonical hash of a complete NetworkPolicySpec: two specs with the same hash are the
// same for every enforcer.
type Hash [sha256.Size]byte

// TargetOf identifies a set of desired policies: sets with the same target have the same names and
// specs. It is short because one is kept for each namespace; a collision would only report a change
// of a baseline as a repair.
func TargetOf(desired []Desired) uint64 {
	all := sha256.New()
	for i := range desired {
		_, _ = all.Write([]byte(desired[i].Policy.Name)) // a hash never fails
		_, _ = all.Write(desired[i].Hash[:])
	}
	return binary.BigEndian.Uint64(all.Sum(nil))
}

// HashSpec hashes the whole spec, as the API server stores it. The canonical form is its protobuf
// encoding, which the API server itself stores: keys are sorted, and the lists in which empty and
// absent mean the same are left out either way, while a selector that is present but empty stays
// apart from an absent one. It is SHA-256, because a tenant who can write the object must not be
// able to find a second spec with the same hash.
func HashSpec(spec *networkingv1.NetworkPolicySpec) Hash {
	canonical, err := spec.Marshal()
	if err != nil {
		// Not reached: every field of the type is a plain value. Equal to no rendered policy in any
		// case.
		return sha256.Sum256(fmt.Append(nil, err))
	}
	return sha256.Sum256(canonical)
}
