package metadata

import "github.com/ktrial/ktrial/broker/kafka"

// The records here are read, kept in the image and written to snapshots, so
// that a log of a real cluster survives; nothing in the broker acts on them.

// ClientQuotaRecord sets or removes one quota of an entity.
type ClientQuotaRecord struct {
	Entity []QuotaEntity
	Key    string
	Value  float64
	Remove bool
}

// QuotaEntity is one part of the entity that a quota is for.
type QuotaEntity struct {
	Type string
	Name *string // nil: the default
}

func (e *QuotaEntity) fields(c *coder) {
	c.string(&e.Type)
	c.nullableString(&e.Name)
	c.endTags()
}

func (*ClientQuotaRecord) APIKey() int16 { return 14 }

func (r *ClientQuotaRecord) fields(c *coder) {
	list(c, &r.Entity, quotaEntity)
	c.string(&r.Key)
	c.float64(&r.Value)
	c.bool(&r.Remove)
	c.endTags()
}

// DelegationTokenRecord creates or renews a delegation token.
type DelegationTokenRecord struct {
	Owner, Requester    string
	Renewers            []string
	IssueTimestamp      int64
	MaxTimestamp        int64
	ExpirationTimestamp int64
	TokenID             string
}

func (*DelegationTokenRecord) APIKey() int16 { return 10 }

func (r *DelegationTokenRecord) fields(c *coder) {
	c.string(&r.Owner)
	c.string(&r.Requester)
	list(c, &r.Renewers, text)
	asInt64(c, &r.IssueTimestamp)
	asInt64(c, &r.MaxTimestamp)
	asInt64(c, &r.ExpirationTimestamp)
	c.string(&r.TokenID)
	c.endTags()
}

// RemoveDelegationTokenRecord removes a delegation token.
type RemoveDelegationTokenRecord struct{ TokenID string }

func (*RemoveDelegationTokenRecord) APIKey() int16 { return 26 }

func (r *RemoveDelegationTokenRecord) fields(c *coder) {
	c.string(&r.TokenID)
	c.endTags()
}

// UserScramCredentialRecord sets a user's SCRAM credential.
type UserScramCredentialRecord struct {
	Name                       string
	Mechanism                  int8
	Salt, StoredKey, ServerKey []byte
	Iterations                 int32
}

func (*UserScramCredentialRecord) APIKey() int16 { return 11 }

func (r *UserScramCredentialRecord) fields(c *coder) {
	c.string(&r.Name)
	asInt8(c, &r.Mechanism)
	c.bytes(&r.Salt)
	c.bytes(&r.StoredKey)
	c.bytes(&r.ServerKey)
	asInt32(c, &r.Iterations)
	c.endTags()
}

// RemoveUserScramCredentialRecord removes a user's SCRAM credential.
type RemoveUserScramCredentialRecord struct {
	Name      string
	Mechanism int8
}

func (*RemoveUserScramCredentialRecord) APIKey() int16 { return 22 }

func (r *RemoveUserScramCredentialRecord) fields(c *coder) {
	c.string(&r.Name)
	asInt8(c, &r.Mechanism)
	c.endTags()
}

// AccessControlEntryRecord creates an ACL.
type AccessControlEntryRecord struct {
	ID             kafka.UUID
	ResourceType   int8
	ResourceName   string
	PatternType    int8
	Principal      string
	Host           string
	Operation      int8
	PermissionType int8
}

func (*AccessControlEntryRecord) APIKey() int16 { return 18 }

func (r *AccessControlEntryRecord) fields(c *coder) {
	c.uuid(&r.ID)
	asInt8(c, &r.ResourceType)
	c.string(&r.ResourceName)
	asInt8(c, &r.PatternType)
	c.string(&r.Principal)
	c.string(&r.Host)
	asInt8(c, &r.Operation)
	asInt8(c, &r.PermissionType)
	c.endTags()
}

// RemoveAccessControlEntryRecord removes an ACL.
type RemoveAccessControlEntryRecord struct{ ID kafka.UUID }

func (*RemoveAccessControlEntryRecord) APIKey() int16 { return 19 }

func (r *RemoveAccessControlEntryRecord) fields(c *coder) {
	c.uuid(&r.ID)
	c.endTags()
}

// ZkMigrationStateRecord marks how far a migration from ZooKeeper has come.
type ZkMigrationStateRecord struct{ State int8 }

func (*ZkMigrationStateRecord) APIKey() int16 { return 21 }

func (r *ZkMigrationStateRecord) fields(c *coder) {
	asInt8(c, &r.State)
	c.endTags()
}
