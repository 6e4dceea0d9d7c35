//! `/openapi/v2`, which kubectl reads for what it does not find in version 3, and kubectl before 1.24 for everything.
//!
//! kubectl asks for it as protobuf (gnostic's `openapi.v2.Document`). It looks for the schemas of kinds, to validate what
//! it sends and to explain fields, and for `dryRun` among the parameters of PATCH; nothing else is in it.

use serde_json::{Map, Value, json};

use super::TITLE;
use super::schemas::{self, Version};
use crate::resource::Resource;

/// The document as JSON.
pub(crate) fn document() -> Value {
    let paths: Map<String, Value> = Resource::ALL.into_iter().map(path).collect();
    json!({
        "swagger": "2.0",
        "info": {"title": TITLE, "version": "unversioned"},
        "paths": paths,
        "definitions": schemas::all(Version::V2),
    })
}

/// The document as protobuf.
pub(crate) fn protobuf() -> Vec<u8> {
    let document = document();
    let info = Message::default()
        .text(INFO_TITLE, document.pointer("/info/title"))
        .text(INFO_VERSION, document.pointer("/info/version"));
    let paths = members(document.get("paths")).fold(Message::default(), |paths, (name, item)| {
        let patch = Message::default().message(PATH_ITEM_PATCH, &operation(item.get("patch")));
        paths.message(PATHS_PATH, &named(name, &patch))
    });
    Message::default()
        .text(DOCUMENT_SWAGGER, document.get("swagger"))
        .message(DOCUMENT_INFO, &info)
        .message(DOCUMENT_PATHS, &paths)
        .message(DOCUMENT_DEFINITIONS, &named_schemas(document.get("definitions")))
        .0
}

/// The media types by which clients ask for [`protobuf`].
pub(crate) const ACCEPTED: [&str; 2] = ["application/com.github.proto-openapi.spec.v2@v1.0+protobuf", CONTENT_TYPE];
/// What the answer says it is: the older name with an `@` is no valid media type.
pub(crate) const CONTENT_TYPE: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// The path of one object, with its PATCH.
fn path(resource: Resource) -> (String, Value) {
    let plural = resource.plural();
    let name = if resource.is_namespaced() {
        format!("/api/v1/namespaces/{{namespace}}/{plural}/{{name}}")
    } else {
        format!("/api/v1/{plural}/{{name}}")
    };
    let parameters: Vec<Value> = ["dryRun", "fieldManager", "fieldValidation"]
        .iter()
        .map(|name| json!({"in": "query", "name": name, "type": "string", "uniqueItems": true}))
        .collect();
    let patch = json!({
        "parameters": parameters,
        "responses": {"200": {"description": "OK"}},
        "x-kubernetes-action": "patch",
        "x-kubernetes-group-version-kind": schemas::group_version_kind(resource),
    });
    (name, json!({"patch": patch}))
}

fn operation(operation: Option<&Value>) -> Message {
    let Some(operation) = operation else { return Message::default() };
    let parameters = operation.get("parameters").and_then(Value::as_array).into_iter().flatten();
    let message = parameters.fold(Message::default(), |message, parameter| {
        let query = Message::default()
            .text(QUERY_IN, parameter.get("in"))
            .text(QUERY_NAME, parameter.get("name"))
            .text(QUERY_TYPE, parameter.get("type"));
        let non_body = Message::default().message(NON_BODY_QUERY, &query);
        let item = Message::default().message(PARAMETER_NON_BODY, &non_body);
        message.message(OPERATION_PARAMETERS, &Message::default().message(PARAMETERS_ITEM_PARAMETER, &item))
    });
    extensions(message, OPERATION_EXTENSION, operation)
}

fn schema(schema: &Value) -> Message {
    let mut message = Message::default()
        .text(SCHEMA_REF, schema.get("$ref"))
        .text(SCHEMA_FORMAT, schema.get("format"))
        .text(SCHEMA_DESCRIPTION, schema.get("description"));
    if let Some(values) = schema.get("additionalProperties") {
        let item = Message::default().message(ADDITIONAL_SCHEMA, &self::schema(values));
        message = message.message(SCHEMA_ADDITIONAL, &item);
    }
    if let Some(kind) = schema.get("type") {
        message = message.message(SCHEMA_TYPE, &Message::default().text(TYPE_VALUE, Some(kind)));
    }
    if let Some(items) = schema.get("items") {
        message = message.message(SCHEMA_ITEMS, &Message::default().message(ITEMS_SCHEMA, &self::schema(items)));
    }
    if let Some(properties) = schema.get("properties") {
        message = message.message(SCHEMA_PROPERTIES, &named_schemas(Some(properties)));
    }
    extensions(message, SCHEMA_EXTENSION, schema)
}

fn named_schemas(schemas: Option<&Value>) -> Message {
    members(schemas)
        .fold(Message::default(), |message, (name, value)| message.message(NAMED_SCHEMAS, &named(name, &schema(value))))
}

/// Adds the members whose names begin with `x-`, as YAML, which JSON is.
fn extensions(message: Message, field: u32, value: &Value) -> Message {
    members(Some(value)).filter(|(name, _)| name.starts_with("x-")).fold(message, |message, (name, value)| {
        let any = Message::default().bytes(ANY_YAML, value.to_string().as_bytes());
        message.message(field, &named(name, &any))
    })
}

fn named(name: &str, value: &Message) -> Message {
    Message::default().bytes(NAMED_NAME, name.as_bytes()).message(NAMED_VALUE, value)
}

fn members(value: Option<&Value>) -> impl Iterator<Item = (&String, &Value)> {
    value.and_then(Value::as_object).into_iter().flatten()
}

/// A protobuf message of fields that have a length.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    /// A field of text; left out if there is none.
    fn text(self, field: u32, text: Option<&Value>) -> Self {
        match text.and_then(Value::as_str) {
            Some(text) => self.bytes(field, text.as_bytes()),
            None => self,
        }
    }

    fn message(self, field: u32, message: &Self) -> Self {
        self.bytes(field, &message.0)
    }

    fn bytes(mut self, field: u32, content: &[u8]) -> Self {
        const LENGTH_DELIMITED: u64 = 2;
        prost::encoding::encode_varint(u64::from(field) << 3 | LENGTH_DELIMITED, &mut self.0);
        prost::encoding::encode_varint(u64::try_from(content.len()).unwrap_or_default(), &mut self.0);
        self.0.extend_from_slice(content);
        self
    }
}

// The field numbers of `openapiv2/OpenAPIv2.proto`.
const DOCUMENT_SWAGGER: u32 = 1;
const DOCUMENT_INFO: u32 = 2;
const DOCUMENT_PATHS: u32 = 8;
const DOCUMENT_DEFINITIONS: u32 = 9;
const INFO_TITLE: u32 = 1;
const INFO_VERSION: u32 = 2;
const PATHS_PATH: u32 = 2;
const PATH_ITEM_PATCH: u32 = 8;
const OPERATION_PARAMETERS: u32 = 8;
const OPERATION_EXTENSION: u32 = 13;
const PARAMETERS_ITEM_PARAMETER: u32 = 1;
const PARAMETER_NON_BODY: u32 = 2;
const NON_BODY_QUERY: u32 = 3;
const QUERY_IN: u32 = 2;
const QUERY_NAME: u32 = 4;
const QUERY_TYPE: u32 = 6;
const SCHEMA_REF: u32 = 1;
const SCHEMA_FORMAT: u32 = 2;
const SCHEMA_DESCRIPTION: u32 = 4;
const SCHEMA_ADDITIONAL: u32 = 21;
const SCHEMA_TYPE: u32 = 22;
const SCHEMA_ITEMS: u32 = 23;
const SCHEMA_PROPERTIES: u32 = 25;
const SCHEMA_EXTENSION: u32 = 31;
const ADDITIONAL_SCHEMA: u32 = 1;
const TYPE_VALUE: u32 = 1;
const ITEMS_SCHEMA: u32 = 1;
/// Of `Definitions` and `Properties`.
const NAMED_SCHEMAS: u32 = 1;
/// Of `NamedAny`, `NamedPathItem` and `NamedSchema`.
const NAMED_NAME: u32 = 1;
const NAMED_VALUE: u32 = 2;
const ANY_YAML: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_protobuf_begins_as_kubectl_expects_and_holds_every_schema() {
        let bytes = protobuf();
        assert!(hex::encode(&bytes).starts_with("0a03322e3012230a144b756265726e6574657320284b79616e69746529"));
        let contains = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        for name in schemas::all(Version::V2).keys() {
            assert!(contains(name), "{name}");
        }
        assert!(contains("#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"));
    }
}
