//! What a verb answers, before it has a form.

use http::StatusCode;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;

use crate::object::Object;
use crate::resource::Resource;
use crate::store::Page;
use crate::verbs::WatchEvents;

/// An answer, with the warnings that go into its headers.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) answer: Answer,
    pub(crate) warnings: Vec<String>,
}

/// The content of an answer.
#[derive(Debug)]
pub(crate) enum Answer {
    List(Resource, Page),
    Object(StatusCode, Box<Object>),
    Status(Box<Status>),
    Watch(Box<WatchEvents>),
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        Self { answer, warnings: Vec::new() }
    }
}
