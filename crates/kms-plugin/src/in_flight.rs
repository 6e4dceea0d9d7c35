//! Decrypts under way. Callers that want the same ciphertext opened at the same time share one call: after a restart an
//! API server reads many values that hang on few seeds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared, WeakShared};

use crate::algorithm::Algorithm;
use crate::key::KeyVersion;
use crate::operation::OperationError;
use crate::secret::Plaintext;

/// What a call comes to, for all who wait for it.
pub(crate) type Outcome = Result<Arc<Plaintext>, OperationError>;

/// What is asked: the same question has the same answer.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Question {
    pub(crate) algorithm: Algorithm,
    pub(crate) ciphertext: Vec<u8>,
    pub(crate) version: KeyVersion,
}

/// A call that somebody waits for.
pub(crate) type Call = Shared<BoxFuture<'static, Outcome>>;

#[derive(Debug, Default)]
pub(crate) struct InFlight {
    /// Nobody's call is kept: a call is dropped with the last who waits for it.
    calls: Mutex<HashMap<Question, WeakShared<BoxFuture<'static, Outcome>>>>,
}

impl InFlight {
    /// The call under way for this question, or a new one; and whether it is new.
    pub(crate) fn join_or_start(
        &self,
        question: &Question,
        start: impl FnOnce() -> BoxFuture<'static, Outcome>,
    ) -> (Call, bool) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let under_way = calls.get(question).and_then(WeakShared::upgrade);
        // One that has ended is history: what it said was true then.
        if let Some(call) = under_way.filter(|call| call.peek().is_none()) {
            return (call, false);
        }
        calls.retain(|_, call| call.upgrade().is_some_and(|call| call.peek().is_none()));
        let call = start().shared();
        if let Some(weak) = call.downgrade() {
            calls.insert(question.clone(), weak);
        }
        (call, true)
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    fn question(ciphertext: &[u8]) -> Question {
        Question { algorithm: Algorithm::RsaOaep256, ciphertext: ciphertext.to_vec(), version: "v1".parse().unwrap() }
    }

    #[tokio::test]
    async fn the_same_question_is_asked_once_while_it_is_open() {
        let calls = InFlight::default();
        let (answer, answered) = oneshot::channel();
        let (first, new) = calls
            .join_or_start(&question(b"c"), || async { Ok(Arc::new(Plaintext::new(answered.await.unwrap()))) }.boxed());
        assert!(new);
        let (second, new) = calls.join_or_start(&question(b"c"), || unreachable!("it is under way"));
        assert!(!new);
        let (_other, new) = calls.join_or_start(&question(b"d"), || async { unreachable!() }.boxed());
        assert!(new, "another ciphertext is another question");

        answer.send(b"seed".to_vec()).unwrap();
        let (first, second) = tokio::join!(first, second);
        assert_eq!(first.unwrap().expose(), b"seed");
        assert_eq!(second.unwrap().expose(), b"seed");
        let (_third, new) = calls.join_or_start(&question(b"c"), || async { unreachable!() }.boxed());
        assert!(new, "what has ended is asked again");
    }

    #[tokio::test]
    async fn a_call_that_all_have_given_up_is_forgotten() {
        let calls = InFlight::default();
        let (call, _) = calls.join_or_start(&question(b"c"), || std::future::pending().boxed());
        drop(call);
        let (_call, new) = calls.join_or_start(&question(b"c"), || std::future::pending().boxed());
        assert!(new);
        assert_eq!(calls.calls.lock().unwrap().len(), 1);
    }
}
