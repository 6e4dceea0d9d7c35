//! The rows that `kubectl get` prints.
//!
//! Imitates `pkg/printers/internalversion/printers.go` and, for ages, `apimachinery/pkg/util/duration`.

use clock::Clock;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::http::Shape;
use crate::object::Object;
use crate::resource::Resource;

/// What a row carries besides its cells, and the moment from which ages count.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TableOptions {
    pub(crate) now: Timestamp,
    pub(crate) include: IncludeObject,
    /// Whether the columns are named; a watch names them once.
    pub(crate) headers: bool,
}

/// What `includeObject` asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum IncludeObject {
    Metadata,
    None,
    Object,
}

impl TableOptions {
    /// Reads `includeObject`.
    pub(crate) fn new(clock: &Clock, include: Option<&str>) -> Self {
        let include = match include {
            Some("None") => IncludeObject::None,
            Some("Object") => IncludeObject::Object,
            _ => IncludeObject::Metadata,
        };
        Self { now: clock.now(), include, headers: true }
    }
}

/// A table of one resource, in one version of `meta.k8s.io`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table {
    pub(crate) resource: Resource,
    pub(crate) version: &'static str,
    pub(crate) options: TableOptions,
}

impl Table {
    /// The table of `objects`; `metadata` is that of the list.
    pub(crate) fn of_objects(self, objects: &[Object], metadata: &Value) -> Result<Value, serde_json::Error> {
        let rows = objects.iter().map(|object| self.row(object)).collect::<Result<Vec<_>, _>>()?;
        let columns: Vec<Value> = if self.options.headers { columns(self.resource) } else { Vec::new() };
        Ok(json!({
            "kind": "Table",
            "apiVersion": format!("meta.k8s.io/{}", self.version),
            "metadata": metadata,
            "columnDefinitions": columns,
            "rows": rows,
        }))
    }

    fn row(self, object: &Object) -> Result<Value, serde_json::Error> {
        let mut row = json!({"cells": cells(object, self.options.now)});
        let carried = match self.options.include {
            IncludeObject::Metadata => Some(crate::http::partial(object, self.version)?),
            IncludeObject::None => None,
            IncludeObject::Object => Some(object.to_json()?),
        };
        if let (Some(carried), Value::Object(row)) = (carried, &mut row) {
            row.insert("object".into(), carried);
        }
        Ok(row)
    }
}

/// Whether this shape is a table.
pub(crate) const fn is_table(shape: Shape) -> bool {
    matches!(shape, Shape::Table(_))
}

fn columns(resource: Resource) -> Vec<Value> {
    let column = |name: &str, format: &str, description: &str| json!({"name": name, "type": "string", "format": format, "description": description, "priority": 0});
    let name = column("Name", "name", NAME);
    let age = column("Age", "", AGE);
    match resource {
        Resource::ConfigMaps => vec![name, column("Data", "", CONFIG_DATA), age],
        Resource::Namespaces => vec![name, column("Status", "", STATUS), age],
        Resource::Secrets => vec![name, column("Type", "", TYPE), column("Data", "", SECRET_DATA), age],
    }
}

fn cells(object: &Object, now: Timestamp) -> Vec<Value> {
    let name = Value::from(object.name());
    let age = Value::from(age(object, now));
    match object {
        Object::ConfigMap(object) => {
            let texts = object.data.as_ref().map_or(0, std::collections::BTreeMap::len);
            let binaries = object.binary_data.as_ref().map_or(0, std::collections::BTreeMap::len);
            vec![name, texts.saturating_add(binaries).into(), age]
        }
        Object::Namespace(object) => {
            let phase = object.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default();
            vec![name, phase.into(), age]
        }
        Object::Secret(object) => {
            let kind = object.type_.as_deref().unwrap_or_default();
            vec![name, kind.into(), object.data.as_ref().map_or(0, std::collections::BTreeMap::len).into(), age]
        }
    }
}

fn age(object: &Object, now: Timestamp) -> String {
    object
        .metadata()
        .creation_timestamp
        .as_ref()
        .map_or_else(|| "<unknown>".into(), |created| human(now.duration_since(created.0)))
}

/// Two units at most, coarser with age.
fn human(age: SignedDuration) -> String {
    let seconds = age.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let pair = |whole: i64, unit: char, rest: i64, rest_unit: char| {
        if rest == 0 { format!("{whole}{unit}") } else { format!("{whole}{unit}{rest}{rest_unit}") }
    };
    if seconds < -1 {
        "<invalid>".into()
    } else if seconds < 0 {
        "0s".into()
    } else if seconds < 120 {
        format!("{seconds}s")
    } else if minutes < 10 {
        pair(minutes, 'm', seconds % 60, 's')
    } else if minutes < 180 {
        format!("{minutes}m")
    } else if hours < 8 {
        pair(hours, 'h', minutes % 60, 'm')
    } else if hours < 48 {
        format!("{hours}h")
    } else if hours < 192 {
        pair(days, 'd', hours % 24, 'h')
    } else if hours < 24 * 365 * 2 {
        format!("{days}d")
    } else if hours < 24 * 365 * 8 {
        pair(days / 365, 'y', days % 365, 'd')
    } else {
        format!("{}y", days / 365)
    }
}

const NAME: &str = "Name must be unique within a namespace. Is required when creating resources, although some resources may allow a client to request the generation of an appropriate name automatically. Name is primarily intended for creation idempotence and configuration definition. Cannot be updated. More info: https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names";
const AGE: &str = "CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed to be set in happens-before order across separate operations. Clients may not set this value. It is represented in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for lists. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";
const TYPE: &str = "Used to facilitate programmatic handling of secret data. More info: https://kubernetes.io/docs/concepts/configuration/secret/#secret-types";
const SECRET_DATA: &str = "Data contains the secret data. Each key must consist of alphanumeric characters, '-', '_' or '.'. The serialized form of the secret data is a base64 encoded string, representing the arbitrary (possibly non-string) data value here. Described in https://tools.ietf.org/html/rfc4648#section-4";
const CONFIG_DATA: &str = "Data contains the configuration data. Each key must consist of alphanumeric characters, '-', '_' or '.'. Values with non-UTF-8 byte sequences must use the BinaryData field. The keys stored in Data must not overlap with the keys in the BinaryData field, this is enforced during validation process.";
const STATUS: &str = "The status of the namespace";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_as_kubectl_shows_them() {
        for (seconds, shown) in [
            (-5, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (599, "9m59s"),
            (3600, "60m"),
            (10_800, "3h"),
            (11_100, "3h5m"),
            (8 * 3600, "8h"),
            (47 * 3600, "47h"),
            (50 * 3600, "2d2h"),
            (8 * 86_400, "8d"),
            (800 * 86_400, "2y70d"),
            (3000 * 86_400, "8y"),
        ] {
            assert_eq!(human(SignedDuration::from_secs(seconds)), shown, "{seconds}");
        }
    }

    #[test]
    fn a_secret_is_a_row_of_four_cells() {
        let object = Object::from_json(
            Resource::Secrets,
            json!({"metadata": {"name": "a", "creationTimestamp": "1970-01-01T00:00:00Z"}, "type": "Opaque", "data": {"k": ""}}),
        )
        .unwrap();
        let options =
            TableOptions { now: Timestamp::from_second(125).unwrap(), include: IncludeObject::Metadata, headers: true };
        let table = Table { resource: Resource::Secrets, version: "v1", options };
        let value = table.of_objects(&[object], &json!({"resourceVersion": "7"})).unwrap();
        insta::assert_snapshot!(serde_json::to_string_pretty(&value).unwrap());
    }
}
