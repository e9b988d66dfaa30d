package harness

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/netbaseline/netbaseline/api/v1alpha1"
)

// StoreSpec changes the spec of a baseline in etcd, past its schema: like a spec that a later
// version's schema admitted, and that an operator after a rollback does not know.
func (e *Environment) StoreSpec(ctx context.Context, baseline string, edit func(spec map[string]any)) (err error) {
	store, err := clientv3.New(clientv3.Config{Endpoints: []string{e.Cluster.EtcdEndpoint()}, DialTimeout: 10 * time.Second})
	if err != nil {
		return fmt.Errorf("connect to etcd: %w", err)
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	key := "/registry/" + v1alpha1.GroupVersion.Group + "/clusternetworkbaselines/" + baseline
	for {
		found, err := store.Get(ctx, key)
		if err != nil {
			return fmt.Errorf("read the stored baseline: %w", err)
		}
		if len(found.Kvs) == 0 {
			return fmt.Errorf("baseline %q is not stored", baseline)
		}
		edited, err := editSpec(found.Kvs[0].Value, edit)
		if err != nil {
			return err
		}
		unchanged := clientv3.Compare(clientv3.ModRevision(key), "=", found.Kvs[0].ModRevision)
		stored, err := store.Txn(ctx).If(unchanged).Then(clientv3.OpPut(key, edited)).Commit()
		if err != nil {
			return fmt.Errorf("store the baseline: %w", err)
		}
		if stored.Succeeded {
			return nil
		}
	}
}

// editSpec counts up the generation, as the API server does.
func editSpec(stored []byte, edit func(spec map[string]any)) (string, error) {
	var object struct {
		APIVersion string          `json:"apiVersion"`
		Kind       string          `json:"kind"`
		Metadata   map[string]any  `json:"metadata"`
		Spec       map[string]any  `json:"spec"`
		Status     json.RawMessage `json:"status,omitempty"`
	}
	if err := json.Unmarshal(stored, &object); err != nil {
		return "", fmt.Errorf("read the stored baseline: %w", err)
	}
	generation, _ := object.Metadata["generation"].(float64)
	object.Metadata["generation"] = int64(generation) + 1
	edit(object.Spec)
	edited, err := json.Marshal(object)
	return string(edited), err
}
