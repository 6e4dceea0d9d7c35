//! The fields of the objects served here, as one table.
//!
//! Four readers share it: strict decoding (unknown fields, wrong types), `OpenAPI`, strategic merge patches (merge keys)
//! and managed fields (which paths have owners). It states what the published `OpenAPI` document of Kubernetes 1.34 does
//! for these kinds, descriptions shortened.

/// What may stand at one place of an object.
#[derive(Debug)]
pub(crate) enum Schema {
    /// Any JSON value, taken whole.
    Any,
    Boolean,
    /// Base64 text in JSON.
    Bytes,
    Integer,
    List {
        items: &'static Self,
        kind: ListKind,
    },
    /// An object with free keys.
    Map {
        values: &'static Self,
    },
    String,
    Struct(Struct),
    /// RFC 3339 text in JSON.
    Time,
}

/// How a list merges and who owns its items.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ListKind {
    /// Replaced and owned as a whole.
    Atomic,
    /// Items are told apart by this field; merged item by item.
    Keyed(&'static str),
    /// Items are distinct scalars; merged and owned one by one.
    Set,
}

/// A named message.
#[derive(Debug)]
pub(crate) struct Struct {
    /// The Go type's name, which appears in decoding errors.
    pub(crate) name: &'static str,
    /// The name under `#/components/schemas` of `OpenAPI`.
    pub(crate) component: &'static str,
    pub(crate) description: &'static str,
    pub(crate) fields: &'static [Field],
    /// Owned as a whole.
    pub(crate) atomic: bool,
}

/// One field of a [`Struct`].
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) schema: &'static Schema,
    pub(crate) description: &'static str,
}

impl Struct {
    /// The field that JSON calls `name`.
    pub(crate) fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

impl Schema {
    /// Whether a value is owned as a whole.
    pub(crate) fn is_leaf(&self) -> bool {
        match self {
            Self::List { kind, .. } => *kind == ListKind::Atomic,
            Self::Map { .. } => false,
            Self::Struct(message) => message.atomic,
            Self::Any | Self::Boolean | Self::Bytes | Self::Integer | Self::String | Self::Time => true,
        }
    }

    /// The schema of the member `name` of an object that has this schema.
    pub(crate) fn member(&self, name: &str) -> Option<&'static Self> {
        match self {
            Self::Struct(message) => message.field(name).map(|field| field.schema),
            Self::Map { values } => Some(values),
            Self::Any | Self::Boolean | Self::Bytes | Self::Integer | Self::List { .. } | Self::String | Self::Time => {
                None
            }
        }
    }
}

const fn field(name: &'static str, schema: &'static Schema, description: &'static str) -> Field {
    Field { name, schema, description }
}

/// `v1.Secret`.
pub(crate) static SECRET: Schema = Schema::Struct(Struct {
    name: "Secret",
    component: "io.k8s.api.core.v1.Secret",
    description: "Secret holds secret data of a certain type. The total bytes of the values in the Data field must be less than MaxSecretSize bytes.",
    fields: &[
        API_VERSION,
        KIND,
        METADATA,
        field(
            "data",
            &BYTES_MAP,
            "Data contains the secret data. Each key must consist of alphanumeric characters, '-', '_' or '.'. The serialized form of the secret data is a base64 encoded string, representing the arbitrary (possibly non-string) data value here.",
        ),
        field(
            "immutable",
            &Schema::Boolean,
            "Immutable, if set to true, ensures that data stored in the Secret cannot be updated (only object metadata can be modified).",
        ),
        field(
            "stringData",
            &STRING_MAP,
            "stringData allows specifying non-binary secret data in string form. It is provided as a write-only input field for convenience. All keys and values are merged into the data field on write, overwriting any existing values.",
        ),
        field("type", &Schema::String, "Used to facilitate programmatic handling of secret data."),
    ],
    atomic: false,
});

/// `v1.ConfigMap`.
pub(crate) static CONFIG_MAP: Schema = Schema::Struct(Struct {
    name: "ConfigMap",
    component: "io.k8s.api.core.v1.ConfigMap",
    description: "ConfigMap holds configuration data for pods to consume.",
    fields: &[
        API_VERSION,
        KIND,
        METADATA,
        field(
            "binaryData",
            &BYTES_MAP,
            "BinaryData contains the binary data. Each key must consist of alphanumeric characters, '-', '_' or '.'.",
        ),
        field(
            "data",
            &STRING_MAP,
            "Data contains the configuration data. Each key must consist of alphanumeric characters, '-', '_' or '.'.",
        ),
        field(
            "immutable",
            &Schema::Boolean,
            "Immutable, if set to true, ensures that data stored in the ConfigMap cannot be updated (only object metadata can be modified).",
        ),
    ],
    atomic: false,
});

/// `v1.Namespace`.
pub(crate) static NAMESPACE: Schema = Schema::Struct(Struct {
    name: "Namespace",
    component: "io.k8s.api.core.v1.Namespace",
    description: "Namespace provides a scope for Names. Use of multiple namespaces is optional.",
    fields: &[
        API_VERSION,
        KIND,
        METADATA,
        field("spec", &NAMESPACE_SPEC, "Spec defines the behavior of the Namespace."),
        field("status", &NAMESPACE_STATUS, "Status describes the current status of a Namespace."),
    ],
    atomic: false,
});

/// `meta/v1.DeleteOptions`, the body of a delete.
pub(crate) static DELETE_OPTIONS: Schema = Schema::Struct(Struct {
    name: "DeleteOptions",
    component: "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions",
    description: "DeleteOptions may be provided when deleting an API object.",
    fields: &[
        API_VERSION,
        KIND,
        field(
            "dryRun",
            &Schema::List { items: &Schema::String, kind: ListKind::Atomic },
            "When present, indicates that modifications should not be persisted.",
        ),
        field("gracePeriodSeconds", &Schema::Integer, "The duration in seconds before the object should be deleted."),
        field(
            "ignoreStoreReadErrorWithClusterBreakingPotential",
            &Schema::Boolean,
            "Dropped here, as upstream does while the feature gate is off.",
        ),
        field("orphanDependents", &Schema::Boolean, "Deprecated: please use the PropagationPolicy."),
        field("preconditions", &PRECONDITIONS, "Must be fulfilled before a deletion is carried out."),
        field("propagationPolicy", &Schema::String, "Whether and how garbage collection will be performed."),
    ],
    atomic: false,
});

const API_VERSION: Field = field(
    "apiVersion",
    &Schema::String,
    "APIVersion defines the versioned schema of this representation of an object.",
);
const KIND: Field =
    field("kind", &Schema::String, "Kind is a string value representing the REST resource this object represents.");
const METADATA: Field = field("metadata", &OBJECT_META, "Standard object's metadata.");

static BYTES_MAP: Schema = Schema::Map { values: &Schema::Bytes };
static STRING_MAP: Schema = Schema::Map { values: &Schema::String };

static OBJECT_META: Schema = Schema::Struct(Struct {
    name: "ObjectMeta",
    component: "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta",
    description: "ObjectMeta is metadata that all persisted resources must have, which includes all objects users must create.",
    fields: &[
        field(
            "annotations",
            &STRING_MAP,
            "Annotations is an unstructured key value map stored with a resource that may be set by external tools to store and retrieve arbitrary metadata.",
        ),
        field(
            "creationTimestamp",
            &Schema::Time,
            "CreationTimestamp is a timestamp representing the server time when this object was created.",
        ),
        field(
            "deletionGracePeriodSeconds",
            &Schema::Integer,
            "Number of seconds allowed for this object to gracefully terminate before it will be removed from the system.",
        ),
        field(
            "deletionTimestamp",
            &Schema::Time,
            "DeletionTimestamp is RFC 3339 date and time at which this resource will be deleted.",
        ),
        field(
            "finalizers",
            &Schema::List { items: &Schema::String, kind: ListKind::Set },
            "Must be empty before the object is deleted from the registry.",
        ),
        field(
            "generateName",
            &Schema::String,
            "GenerateName is an optional prefix, used by the server, to generate a unique name ONLY IF the Name field has not been provided.",
        ),
        field(
            "generation",
            &Schema::Integer,
            "A sequence number representing a specific generation of the desired state.",
        ),
        field(
            "labels",
            &STRING_MAP,
            "Map of string keys and values that can be used to organize and categorize (scope and select) objects.",
        ),
        field(
            "managedFields",
            &Schema::List { items: &MANAGED_FIELDS_ENTRY, kind: ListKind::Atomic },
            "ManagedFields maps workflow-id and version to the set of fields that are managed by that workflow.",
        ),
        field("name", &Schema::String, "Name must be unique within a namespace. Cannot be updated."),
        field(
            "namespace",
            &Schema::String,
            "Namespace defines the space within which each name must be unique. Cannot be updated.",
        ),
        field(
            "ownerReferences",
            &Schema::List { items: &OWNER_REFERENCE, kind: ListKind::Keyed("uid") },
            "List of objects depended by this object.",
        ),
        field(
            "resourceVersion",
            &Schema::String,
            "An opaque value that represents the internal version of this object that can be used by clients to determine when objects have changed.",
        ),
        field(
            "selfLink",
            &Schema::String,
            "Deprecated: selfLink is a legacy read-only field that is no longer populated by the system.",
        ),
        field("uid", &Schema::String, "UID is the unique in time and space value for this object."),
    ],
    atomic: false,
});

static MANAGED_FIELDS_ENTRY: Schema = Schema::Struct(Struct {
    name: "ManagedFieldsEntry",
    component: "io.k8s.apimachinery.pkg.apis.meta.v1.ManagedFieldsEntry",
    description: "ManagedFieldsEntry is a workflow-id, a FieldSet and the group version of the resource that the fieldset applies to.",
    fields: &[
        field(
            "apiVersion",
            &Schema::String,
            "APIVersion defines the version of this resource that this field set applies to.",
        ),
        field(
            "fieldsType",
            &Schema::String,
            "FieldsType is the discriminator for the different fields format and version.",
        ),
        field(
            "fieldsV1",
            &Schema::Any,
            "FieldsV1 holds the first JSON version format as described in the \"FieldsV1\" type.",
        ),
        field("manager", &Schema::String, "Manager is an identifier of the workflow managing these fields."),
        field(
            "operation",
            &Schema::String,
            "Operation is the type of operation which lead to this ManagedFieldsEntry being created.",
        ),
        field("subresource", &Schema::String, "Subresource is the name of the subresource used to update that object."),
        field("time", &Schema::Time, "Time is the timestamp of when the ManagedFields entry was added."),
    ],
    atomic: false,
});

static OWNER_REFERENCE: Schema = Schema::Struct(Struct {
    name: "OwnerReference",
    component: "io.k8s.apimachinery.pkg.apis.meta.v1.OwnerReference",
    description: "OwnerReference contains enough information to let you identify an owning object.",
    fields: &[
        field("apiVersion", &Schema::String, "API version of the referent."),
        field(
            "blockOwnerDeletion",
            &Schema::Boolean,
            "If true, AND if the owner has the \"foregroundDeletion\" finalizer, then the owner cannot be deleted from the key-value store until this reference is removed.",
        ),
        field("controller", &Schema::Boolean, "If true, this reference points to the managing controller."),
        field("kind", &Schema::String, "Kind of the referent."),
        field("name", &Schema::String, "Name of the referent."),
        field("uid", &Schema::String, "UID of the referent."),
    ],
    atomic: true,
});

static NAMESPACE_SPEC: Schema = Schema::Struct(Struct {
    name: "NamespaceSpec",
    component: "io.k8s.api.core.v1.NamespaceSpec",
    description: "NamespaceSpec describes the attributes on a Namespace.",
    fields: &[field(
        "finalizers",
        &Schema::List { items: &Schema::String, kind: ListKind::Atomic },
        "Finalizers is an opaque list of values that must be empty to permanently remove object from storage.",
    )],
    atomic: false,
});

static NAMESPACE_STATUS: Schema = Schema::Struct(Struct {
    name: "NamespaceStatus",
    component: "io.k8s.api.core.v1.NamespaceStatus",
    description: "NamespaceStatus is information about the current status of a Namespace.",
    fields: &[
        field(
            "conditions",
            &Schema::List { items: &NAMESPACE_CONDITION, kind: ListKind::Keyed("type") },
            "Represents the latest available observations of a namespace's current state.",
        ),
        field("phase", &Schema::String, "Phase is the current lifecycle phase of the namespace."),
    ],
    atomic: false,
});

static NAMESPACE_CONDITION: Schema = Schema::Struct(Struct {
    name: "NamespaceCondition",
    component: "io.k8s.api.core.v1.NamespaceCondition",
    description: "NamespaceCondition contains details about state of namespace.",
    fields: &[
        field("lastTransitionTime", &Schema::Time, "Last time the condition transitioned from one status to another."),
        field("message", &Schema::String, "Human-readable message indicating details about last transition."),
        field("reason", &Schema::String, "Unique, one-word, CamelCase reason for the condition's last transition."),
        field("status", &Schema::String, "Status of the condition, one of True, False, Unknown."),
        field("type", &Schema::String, "Type of namespace controller condition."),
    ],
    atomic: false,
});

static PRECONDITIONS: Schema = Schema::Struct(Struct {
    name: "Preconditions",
    component: "io.k8s.apimachinery.pkg.apis.meta.v1.Preconditions",
    description: "Preconditions must be fulfilled before an operation (update, delete, etc.) is carried out.",
    fields: &[
        field("resourceVersion", &Schema::String, "Specifies the target ResourceVersion"),
        field("uid", &Schema::String, "Specifies the target UID."),
    ],
    atomic: false,
});
