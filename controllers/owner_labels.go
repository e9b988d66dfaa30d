package controllers

import (
	"sync"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// sharedOwnerLabels holds one label map for each baseline's name, shared by all compact policies of that baseline; they are read only.
var sharedOwnerLabels sync.Map

func ownerLabels(owner string) map[string]string {
	if shared, ok := sharedOwnerLabels.Load(owner); ok {
		return shared.(map[string]string) //nolint:forcetypeassert // nothing else is stored
	}
	shared, _ := sharedOwnerLabels.LoadOrStore(owner, map[string]string{v1alpha1.BaselineLabel: owner})
	return shared.(map[string]string) //nolint:forcetypeassert // nothing else is stored
}
