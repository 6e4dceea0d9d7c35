//! Get and list.

use http::StatusCode;

use crate::core::Core;
use crate::http::{Answer, ApiRequest, Reply, Target, list_query};
use crate::status::ApiError;
use crate::store::{At, Continuation, EtcdError, ListQuery, StoreError};

/// Reads one object.
pub(crate) async fn get(core: &Core, target: &Target, name: &str) -> Result<Reply, ApiError> {
    // Every read is of the newest revision, which satisfies any `resourceVersion` that a client may name.
    let current = core
        .store
        .get(target.resource, target.namespace(), name)
        .await
        .map_err(|error| error.for_client(target.resource, name))?;
    Ok(Answer::Object(StatusCode::OK, Box::new(current.object)).into())
}

/// Reads many objects.
pub(crate) async fn list(core: &Core, target: &Target, request: &ApiRequest) -> Result<Reply, ApiError> {
    let query = list_query(target, &request.query)?;
    match core.store.list(&query).await {
        Ok(page) => Ok(Answer::List(target.resource, page).into()),
        Err(error) => Err(refused(error, &query)),
    }
}

fn refused(error: StoreError, query: &ListQuery) -> ApiError {
    match (&error, &query.at) {
        // `handleCompactedErrorForPaging`: the list may go on, inconsistently, at the newest revision.
        (StoreError::Etcd(EtcdError::Compacted), At::Continue(Continuation { start, .. })) => {
            let token = Continuation { revision: -1, start: start.clone() }.encode();
            ApiError::expired_with_continue(CONTINUE_IS_TOO_OLD, token)
        }
        _ => error.for_client(query.resource, ""),
    }
}

const CONTINUE_IS_TOO_OLD: &str = "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.";
