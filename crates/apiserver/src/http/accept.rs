//! Which form of an answer a client wants. Imitates `endpoints/handlers/negotiation`.

use http::HeaderMap;
use http::header::ACCEPT;

/// The forms of objects and lists.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Shape {
    /// As they are.
    Object,
    /// Only their metadata; the version of `meta.k8s.io` to name.
    PartialMetadata(&'static str),
    /// Rows and columns; the version of `meta.k8s.io` to name.
    Table(&'static str),
}

/// The media types of an `Accept` header, in the client's order of preference.
#[derive(Clone, Debug)]
pub(crate) struct Accept {
    ranges: Vec<MediaRange>,
}

#[derive(Clone, Debug)]
struct MediaRange {
    media_type: String,
    parameters: Vec<(String, String)>,
}

impl Accept {
    pub(crate) fn parse(headers: &HeaderMap) -> Self {
        let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let mut ranges: Vec<(u16, MediaRange)> = values
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .filter(|range| !range.is_empty())
            .map(media_range)
            .collect();
        // Stable: equal weights stay in the client's order.
        ranges.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
        Self { ranges: ranges.into_iter().filter(|(weight, _)| *weight > 0).map(|(_, range)| range).collect() }
    }

    /// The first form that this server has. `None` if it has none of them.
    pub(crate) fn shape(&self) -> Option<Shape> {
        if self.ranges.is_empty() {
            return Some(Shape::Object);
        }
        self.ranges.iter().find_map(|range| {
            if !range.is_json() {
                return None;
            }
            match range.parameter("as") {
                None => Some(Shape::Object),
                Some(form) if range.parameter("g") == Some("meta.k8s.io") => {
                    let version = match range.parameter("v") {
                        Some("v1") => "v1",
                        Some("v1beta1") => "v1beta1",
                        _ => return None,
                    };
                    match form {
                        "Table" => Some(Shape::Table(version)),
                        "PartialObjectMetadata" | "PartialObjectMetadataList" => Some(Shape::PartialMetadata(version)),
                        _ => None,
                    }
                }
                Some(_) => None,
            }
        })
    }

    /// The version of `apidiscovery.k8s.io` in which aggregated discovery is wanted, if it is.
    pub(crate) fn aggregated_discovery(&self) -> Option<&'static str> {
        let first = self.ranges.iter().find(|range| range.is_json())?;
        let wanted = first.parameter("g") == Some("apidiscovery.k8s.io")
            && first.parameter("as") == Some("APIGroupDiscoveryList");
        match first.parameter("v").filter(|_| wanted)? {
            "v2" => Some("v2"),
            "v2beta1" => Some("v2beta1"),
            _ => None,
        }
    }

    /// Whether JSON without any parameter is welcome.
    pub(crate) fn takes_json(&self) -> bool {
        self.ranges.is_empty() || self.ranges.iter().any(MediaRange::is_json)
    }

    /// Whether the client asks for this media type by name.
    pub(crate) fn names(&self, media_type: &str) -> bool {
        self.ranges.iter().any(|range| range.media_type == media_type)
    }
}

impl MediaRange {
    fn is_json(&self) -> bool {
        ["application/json", "application/*", "*/*"].contains(&self.media_type.as_str())
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// A range with its weight in thousandths.
fn media_range(text: &str) -> (u16, MediaRange) {
    let mut parts = text.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
    let mut weight = 1000;
    let mut parameters = Vec::new();
    for (key, value) in parts.filter_map(|part| part.split_once('=')) {
        if key == "q" {
            weight = thousandths(value).unwrap_or(weight);
        } else {
            parameters.push((key.to_owned(), value.trim_matches('"').to_owned()));
        }
    }
    (weight, MediaRange { media_type, parameters })
}

fn thousandths(quality: &str) -> Option<u16> {
    let (whole, fraction) = quality.split_once('.').unwrap_or((quality, ""));
    let whole: u16 = whole.parse().ok()?;
    let padded: String = fraction.chars().chain("000".chars()).take(3).collect();
    Some(whole.min(1).saturating_mul(1000).saturating_add(padded.parse().ok()?).min(1000))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn accept(header: &str) -> Accept {
        Accept::parse(&HeaderMap::from_iter([(ACCEPT, HeaderValue::from_str(header).unwrap())]))
    }

    #[test]
    fn the_first_form_that_exists_wins() {
        for (header, shape) in [
            ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", Some(Shape::Table("v1"))),
            ("application/json;as=Table;v=v2;g=meta.k8s.io,application/json", Some(Shape::Object)),
            ("application/vnd.kubernetes.protobuf,application/json", Some(Shape::Object)),
            ("application/vnd.kubernetes.protobuf", None),
            ("application/yaml", None),
            (
                "application/json;q=0.1, application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
                Some(Shape::PartialMetadata("v1")),
            ),
            ("*/*", Some(Shape::Object)),
        ] {
            assert_eq!(accept(header).shape(), shape, "{header}");
        }
        assert_eq!(Accept::parse(&HeaderMap::new()).shape(), Some(Shape::Object));
    }

    #[test]
    fn aggregated_discovery_is_found_as_kubectl_asks() {
        let kubectl = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
        assert_eq!(accept(kubectl).aggregated_discovery(), Some("v2"));
        assert_eq!(accept("application/json").aggregated_discovery(), None);
    }

    proptest! {
        #[test]
        fn never_panics(header in "[ -~]{0,60}") {
            let accept = accept(&header);
            accept.shape();
            accept.aggregated_discovery();
        }
    }
}
