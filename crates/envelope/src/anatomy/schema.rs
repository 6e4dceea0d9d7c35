//! The protobuf messages that stored values are made of, as far as names go.

/// A message.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) fields: &'static [Field],
}

/// A field of a message.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) number: u32,
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) shape: Shape,
}

/// What a field holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    /// Bytes that may be secret or long: not shown.
    Bytes,
    /// `encryptedData`.
    Encrypted,
    /// A message.
    Message(&'static Message),
    /// A number, shown.
    Number,
    /// `raw` of `runtime.Unknown`: an object of the kind that stands before it.
    Object,
    /// A text, shown.
    Text,
}

const fn field(number: u32, name: &'static str, shape: Shape, about: &'static str) -> Field {
    Field { number, name, about, shape }
}

/// kube-apiserver's record behind a KMS v2 prefix.
pub(super) const ENCRYPTED_OBJECT: Message = Message {
    fields: &[
        field(1, "encryptedData", Shape::Encrypted, "the sealed value"),
        field(2, "keyID", Shape::Text, "the key that encrypted the DEK source; public"),
        field(3, "encryptedDEKSource", Shape::Bytes, "the seed as the KMS plugin encrypted it, verbatim"),
        field(4, "annotations", Shape::Message(&ANNOTATION), "what the plugin asked to be stored beside it"),
        field(5, "encryptedDEKSourceType", Shape::Number, "0: an AES-GCM key; 1: a seed for HKDF"),
    ],
};

/// `runtime.Unknown`.
pub(super) const UNKNOWN: Message = Message {
    fields: &[
        field(1, "typeMeta", Shape::Message(&TYPE_META), "the type of the object"),
        field(2, "raw", Shape::Object, "the object"),
        field(3, "contentEncoding", Shape::Text, "empty: not compressed"),
        field(4, "contentType", Shape::Text, "empty: protobuf"),
    ],
};

/// The message of a kind.
pub(super) fn of_kind(kind: &str) -> Option<&'static Message> {
    match kind {
        "ConfigMap" => Some(&CONFIG_MAP),
        "Namespace" => Some(&NAMESPACE),
        "Secret" => Some(&SECRET),
        _ => None,
    }
}

const ANNOTATION: Message =
    Message { fields: &[field(1, "key", Shape::Text, "a domain name"), field(2, "value", Shape::Text, "any bytes")] };

const TYPE_META: Message =
    Message { fields: &[field(1, "apiVersion", Shape::Text, ""), field(2, "kind", Shape::Text, "")] };

const SECRET: Message = Message {
    fields: &[
        field(1, "metadata", Shape::Message(&OBJECT_META), ""),
        field(2, "data", Shape::Message(&BYTES_ENTRY), "one entry of the secret data"),
        field(3, "type", Shape::Text, "always written"),
        field(4, "stringData", Shape::Message(&BYTES_ENTRY), "never stored by a real server"),
        field(5, "immutable", Shape::Number, "only if it was set"),
    ],
};

const CONFIG_MAP: Message = Message {
    fields: &[
        field(1, "metadata", Shape::Message(&OBJECT_META), ""),
        field(2, "data", Shape::Message(&TEXT_ENTRY), "one entry of the data"),
        field(3, "binaryData", Shape::Message(&BYTES_ENTRY), "one entry of the data that is no text"),
        field(4, "immutable", Shape::Number, "only if it was set"),
    ],
};

const NAMESPACE: Message = Message {
    fields: &[
        field(1, "metadata", Shape::Message(&OBJECT_META), ""),
        field(2, "spec", Shape::Message(&NAMESPACE_SPEC), ""),
        field(3, "status", Shape::Message(&NAMESPACE_STATUS), ""),
    ],
};

const NAMESPACE_SPEC: Message =
    Message { fields: &[field(1, "finalizers", Shape::Text, "who must agree before it is gone")] };

const NAMESPACE_STATUS: Message = Message {
    fields: &[
        field(1, "phase", Shape::Text, "Active or Terminating"),
        field(2, "conditions", Shape::Bytes, "what holds up its deletion"),
    ],
};

const OBJECT_META: Message = Message {
    fields: &[
        field(1, "name", Shape::Text, "always written"),
        field(2, "generateName", Shape::Text, "always written"),
        field(3, "namespace", Shape::Text, "always written"),
        field(4, "selfLink", Shape::Text, "always written, always empty"),
        field(5, "uid", Shape::Text, "always written"),
        field(6, "resourceVersion", Shape::Text, "always written, always empty: it is etcd's revision"),
        field(7, "generation", Shape::Number, "always written"),
        field(8, "creationTimestamp", Shape::Message(&TIME), "always written"),
        field(9, "deletionTimestamp", Shape::Message(&TIME), ""),
        field(10, "deletionGracePeriodSeconds", Shape::Number, ""),
        field(11, "labels", Shape::Message(&TEXT_ENTRY), ""),
        field(12, "annotations", Shape::Message(&TEXT_ENTRY), ""),
        field(13, "ownerReferences", Shape::Message(&OWNER_REFERENCE), ""),
        field(14, "finalizers", Shape::Text, ""),
        field(15, "clusterName", Shape::Text, "of older servers; skipped on read"),
        field(17, "managedFields", Shape::Message(&MANAGED_FIELDS), "who manages which field"),
    ],
};

const OWNER_REFERENCE: Message = Message {
    fields: &[
        field(1, "kind", Shape::Text, ""),
        field(3, "name", Shape::Text, ""),
        field(4, "uid", Shape::Text, ""),
        field(5, "apiVersion", Shape::Text, ""),
        field(6, "controller", Shape::Number, ""),
        field(7, "blockOwnerDeletion", Shape::Number, ""),
    ],
};

const MANAGED_FIELDS: Message = Message {
    fields: &[
        field(1, "manager", Shape::Text, ""),
        field(2, "operation", Shape::Text, ""),
        field(3, "apiVersion", Shape::Text, ""),
        field(4, "time", Shape::Message(&TIME), ""),
        field(6, "fieldsType", Shape::Text, ""),
        field(7, "fieldsV1", Shape::Message(&FIELDS_V1), ""),
        field(8, "subresource", Shape::Text, ""),
    ],
};

const FIELDS_V1: Message = Message { fields: &[field(1, "Raw", Shape::Text, "names of fields, never values")] };

const TIME: Message = Message {
    fields: &[
        field(1, "seconds", Shape::Number, "since 1970"),
        field(2, "nanos", Shape::Number, "always 0 in storage"),
    ],
};

const BYTES_ENTRY: Message =
    Message { fields: &[field(1, "key", Shape::Text, ""), field(2, "value", Shape::Bytes, "the plaintext")] };

const TEXT_ENTRY: Message = Message { fields: &[field(1, "key", Shape::Text, ""), field(2, "value", Shape::Text, "")] };
