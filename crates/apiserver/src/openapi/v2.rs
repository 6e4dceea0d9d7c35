//! `/openapi/v2`, which kubectl reads for what it does not find in version 3, and older ones for everything.
//!
//! kubectl asks for it as protobuf (gnostic's `openapi.v2.Document`) and looks for two things: whether the PATCH of a
//! kind takes `dryRun`, and the schema of the kind. There are no schemas in it: kubectl then skips its own validation,
//! and the server does it.

use serde_json::{Value, json};

use super::TITLE;
use crate::resource::Resource;

/// The document as JSON.
pub(crate) fn document() -> Value {
    json!({
        "swagger": "2.0",
        "info": {"title": TITLE, "version": VERSION},
        "paths": {},
        "definitions": {},
    })
}

/// The document as protobuf.
pub(crate) fn protobuf() -> Vec<u8> {
    let info = Message::default().text(INFO_TITLE, TITLE).text(INFO_VERSION, VERSION);
    let paths = Resource::ALL
        .into_iter()
        .fold(Message::default(), |paths, resource| paths.message(PATHS_PATH, &path_item(resource)));
    Message::default()
        .text(DOCUMENT_SWAGGER, "2.0")
        .message(DOCUMENT_INFO, &info)
        .message(DOCUMENT_PATHS, &paths)
        .message(DOCUMENT_DEFINITIONS, &Message::default())
        .0
}

/// The media types by which clients ask for [`protobuf`].
pub(crate) const ACCEPTED: [&str; 2] = ["application/com.github.proto-openapi.spec.v2@v1.0+protobuf", CONTENT_TYPE];
/// What the answer says it is: the older name with an `@` is no valid media type.
pub(crate) const CONTENT_TYPE: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// The path of one object, with its PATCH.
fn path_item(resource: Resource) -> Message {
    let plural = resource.plural();
    let name = if resource.is_namespaced() {
        format!("/api/v1/namespaces/{{namespace}}/{plural}/{{name}}")
    } else {
        format!("/api/v1/{plural}/{{name}}")
    };
    let query = Message::default().text(QUERY_IN, "query").text(QUERY_NAME, "dryRun");
    let parameter = Message::default().message(
        PARAMETERS_ITEM_PARAMETER,
        &Message::default().message(PARAMETER_NON_BODY, &Message::default().message(NON_BODY_QUERY, &query)),
    );
    let kind = format!("group: \"\"\nkind: {}\nversion: v1\n", resource.kind());
    let extension = Message::default()
        .text(NAMED_NAME, "x-kubernetes-group-version-kind")
        .message(NAMED_VALUE, &Message::default().text(ANY_YAML, &kind));
    let patch = Message::default().message(OPERATION_PARAMETERS, &parameter).message(OPERATION_EXTENSION, &extension);
    let item = Message::default().message(PATH_ITEM_PATCH, &patch);
    Message::default().text(NAMED_NAME, &name).message(NAMED_VALUE, &item)
}

/// A protobuf message of fields that have a length.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn text(self, field: u8, text: &str) -> Self {
        self.field(field, text.as_bytes())
    }

    fn message(self, field: u8, message: &Self) -> Self {
        self.field(field, &message.0)
    }

    fn field(mut self, field: u8, content: &[u8]) -> Self {
        self.0.push(field << 3 | LENGTH_DELIMITED);
        let mut length = content.len();
        while length > 0x7f {
            self.0.push(u8::try_from(length & 0x7f).unwrap_or_default() | 0x80);
            length >>= 7;
        }
        self.0.push(u8::try_from(length).unwrap_or_default());
        self.0.extend_from_slice(content);
        self
    }
}

const VERSION: &str = "unversioned";
/// The wire type of texts and messages. Every field number below is under 16, so that a tag is one byte.
const LENGTH_DELIMITED: u8 = 2;
const DOCUMENT_SWAGGER: u8 = 1;
const DOCUMENT_INFO: u8 = 2;
const DOCUMENT_PATHS: u8 = 8;
const DOCUMENT_DEFINITIONS: u8 = 9;
const INFO_TITLE: u8 = 1;
const INFO_VERSION: u8 = 2;
const PATHS_PATH: u8 = 2;
/// Of `NamedPathItem` and `NamedAny`.
const NAMED_NAME: u8 = 1;
const NAMED_VALUE: u8 = 2;
const PATH_ITEM_PATCH: u8 = 8;
const OPERATION_PARAMETERS: u8 = 8;
const OPERATION_EXTENSION: u8 = 13;
const PARAMETERS_ITEM_PARAMETER: u8 = 1;
const PARAMETER_NON_BODY: u8 = 2;
const NON_BODY_QUERY: u8 = 3;
const QUERY_IN: u8 = 2;
const QUERY_NAME: u8 = 4;
const ANY_YAML: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_over_a_byte_are_written_as_varints() {
        let message = Message::default().text(1, &"x".repeat(300));
        assert_eq!(message.0[..3], [0x0a, 0xac, 0x02]);
        assert_eq!(message.0.len(), 303);
    }

    #[test]
    fn the_document_begins_as_kubectl_expects() {
        assert!(hex::encode(protobuf()).starts_with("0a03322e3012230a144b756265726e6574657320284b79616e69746529"));
    }
}
