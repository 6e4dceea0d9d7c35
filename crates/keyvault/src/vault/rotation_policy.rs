//! When a key rotates by itself, and how long its new versions live.
//!
//! Imitates <https://learn.microsoft.com/azure/key-vault/keys/how-to-configure-key-rotation>. Durations are ISO 8601 by the
//! calendar in UTC: `P1M` after January 31st is the last day of February.

use jiff::fmt::temporal::SpanParser;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};

use crate::vault::object::whole_seconds;
use crate::vault::{Attributes, VaultError};

/// The policy of one key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct RotationPolicy {
    actions: Vec<LifetimeAction>,
    expiry: Option<CalendarDuration>,
    /// First and last time it was set; `None` while it is the default that nobody set.
    times: Option<(Timestamp, Timestamp)>,
}

impl RotationPolicy {
    /// Checks what a caller wants.
    ///
    /// `Assumed:` a policy without a notification keeps the default one, which cannot be taken away; and only a rotation
    /// by `timeBeforeExpiry` needs an `expiryTime`, since the default notification has none.
    ///
    /// # Errors
    ///
    /// [`VaultError::RotationPolicy`] with the first rule that it breaks.
    pub(crate) fn new(
        mut actions: Vec<LifetimeAction>,
        expiry: Option<CalendarDuration>,
        now: Timestamp,
    ) -> Result<Self, VaultError> {
        let refused = |problem| Err(VaultError::RotationPolicy { problem });
        let of_kind = |action: LifetimeActionKind| actions.iter().filter(|given| given.action == action).count();
        if of_kind(LifetimeActionKind::Rotate) > 1 || of_kind(LifetimeActionKind::Notify) > 1 {
            return refused(RotationPolicyProblem::ActionTwice);
        }
        let life = expiry.as_ref().map(|expiry| expiry.length(now));
        if life.is_some_and(|life| life < MIN_EXPIRY) {
            return refused(RotationPolicyProblem::ExpiryTooShort);
        }
        for LifetimeAction { trigger, action } in &actions {
            let (at, is_before_expiry) = match trigger {
                Trigger::TimeAfterCreate(after) => (after.length(now), false),
                Trigger::TimeBeforeExpiry(before) => (before.length(now), true),
            };
            if *action == LifetimeActionKind::Notify && !is_before_expiry {
                return refused(RotationPolicyProblem::NotifyAfterCreate);
            }
            if at < MIN_TRIGGER {
                return refused(RotationPolicyProblem::TriggerTooShort);
            }
            match life {
                None if is_before_expiry && *action == LifetimeActionKind::Rotate => {
                    return refused(RotationPolicyProblem::NoExpiry);
                }
                // Both ways round: seven days of life before the trigger, and seven after it.
                Some(life) if *action == LifetimeActionKind::Rotate && life - at < MIN_TRIGGER => {
                    return refused(RotationPolicyProblem::TriggerTooLate);
                }
                None | Some(_) => {}
            }
        }
        if of_kind(LifetimeActionKind::Notify) == 0 {
            actions.extend(Self::default().actions);
        }
        Ok(Self { actions, expiry, times: None })
    }

    /// A policy as it was stored.
    pub(crate) fn restore(
        actions: Vec<LifetimeAction>,
        expiry: Option<CalendarDuration>,
        times: Option<(Timestamp, Timestamp)>,
    ) -> Self {
        Self { actions, expiry, times }
    }

    /// This policy as one that is set `now` in the place of `before`.
    pub(super) fn set_at(self, before: Option<&Self>, now: Timestamp) -> Self {
        let now = whole_seconds(now);
        let created = before.and_then(|before| before.times).map_or(now, |(created, _)| created);
        Self { times: Some((created, now)), ..self }
    }

    /// What happens in the life of a version.
    pub(crate) fn actions(&self) -> &[LifetimeAction] {
        &self.actions
    }

    /// How long new versions live.
    pub(crate) fn expiry(&self) -> Option<&CalendarDuration> {
        self.expiry.as_ref()
    }

    /// First and last time it was set.
    pub(crate) fn times(&self) -> Option<(Timestamp, Timestamp)> {
        self.times
    }

    /// When a version that is made `now` expires.
    pub(super) fn expiry_from(&self, now: Timestamp) -> Option<Timestamp> {
        Some(whole_seconds(self.expiry.as_ref()?.after(now)))
    }

    /// When subscribers are told that a version which expires at `expires` is near its end.
    pub(crate) fn near(&self, expires: Timestamp) -> Option<Timestamp> {
        let notify = self.actions.iter().find(|action| action.action == LifetimeActionKind::Notify)?;
        match &notify.trigger {
            Trigger::TimeAfterCreate(_) => None,
            Trigger::TimeBeforeExpiry(before) => Some(before.before(expires)),
        }
    }

    /// When a key whose latest version has these attributes is to be rotated.
    pub(super) fn rotation_due(&self, latest: &Attributes) -> Option<Timestamp> {
        let rotate = self.actions.iter().find(|action| action.action == LifetimeActionKind::Rotate)?;
        match &rotate.trigger {
            Trigger::TimeAfterCreate(after) => Some(after.after(latest.created)),
            Trigger::TimeBeforeExpiry(before) => Some(before.before(latest.expires?)),
        }
    }
}

impl Default for RotationPolicy {
    /// What a key has that nobody gave a policy: a notification 30 days before it expires.
    fn default() -> Self {
        let before = CalendarDuration { text: "P30D".to_owned(), span: Span::new().days(30) };
        let trigger = Trigger::TimeBeforeExpiry(before);
        Self {
            actions: vec![LifetimeAction { trigger, action: LifetimeActionKind::Notify }],
            expiry: None,
            times: None,
        }
    }
}

/// Something that happens in the life of a version.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct LifetimeAction {
    pub(crate) trigger: Trigger,
    pub(crate) action: LifetimeActionKind,
}

/// When it happens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Trigger {
    TimeAfterCreate(CalendarDuration),
    TimeBeforeExpiry(CalendarDuration),
}

/// What happens.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum LifetimeActionKind {
    /// An event tells that the version is about to expire.
    Notify,
    /// A new version is made.
    Rotate,
}

impl LifetimeActionKind {
    /// The name in `type`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Notify => "Notify",
            Self::Rotate => "Rotate",
        }
    }

    /// The action with this name in `type`, in any case.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::Notify, Self::Rotate].into_iter().find(|action| action.as_str().eq_ignore_ascii_case(name))
    }
}

/// An ISO 8601 duration, kept as it was written.
#[derive(Clone, Debug)]
pub(crate) struct CalendarDuration {
    text: String,
    span: Span,
}

impl CalendarDuration {
    /// Reads `P18M`, `P1Y10D`, `PT48H`. `None` if it is something else, or not longer than nothing.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let span = SpanParser::new().parse_span(text).ok()?;
        let is_short = text.len() <= MAX_DURATION_BYTES;
        (is_short && span.is_positive()).then(|| Self { text: text.to_owned(), span })
    }

    /// As it was written.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The moment this long after `start`; the end of time if that is earlier.
    pub(crate) fn after(&self, start: Timestamp) -> Timestamp {
        let start = start.to_zoned(TimeZone::UTC);
        start.checked_add(self.span).map_or(Timestamp::MAX, |end| end.timestamp())
    }

    /// The moment this long before `end`; the beginning of time if that is later.
    pub(crate) fn before(&self, end: Timestamp) -> Timestamp {
        let end = end.to_zoned(TimeZone::UTC);
        end.checked_sub(self.span).map_or(Timestamp::MIN, |start| start.timestamp())
    }

    /// Its length from `now` on.
    fn length(&self, now: Timestamp) -> SignedDuration {
        self.after(now).duration_since(now)
    }
}

impl PartialEq for CalendarDuration {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for CalendarDuration {}

/// Why a rotation policy is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum RotationPolicyProblem {
    /// Two rotations, or two notifications.
    ActionTwice,
    /// `expiryTime` below 28 days.
    ExpiryTooShort,
    /// A rotation by `timeBeforeExpiry` without an `expiryTime`.
    NoExpiry,
    /// A notification by `timeAfterCreate`.
    NotifyAfterCreate,
    /// Less than seven days between a rotation and the version's other end.
    TriggerTooLate,
    /// Less than seven days after creation or before expiry.
    TriggerTooShort,
}

/// The least `expiryTime`: 28 days (`KeyRotationPolicyAttributes` of the service contract).
const MIN_EXPIRY: SignedDuration = SignedDuration::from_hours(28 * 24);
/// The least time between a rotation and creation or expiry: 7 days.
const MIN_TRIGGER: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Longer texts are no durations that anybody means.
const MAX_DURATION_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn moment(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn duration(text: &str) -> CalendarDuration {
        CalendarDuration::parse(text).unwrap()
    }

    fn rotate(trigger: Trigger) -> LifetimeAction {
        LifetimeAction { trigger, action: LifetimeActionKind::Rotate }
    }

    fn after(text: &str) -> Trigger {
        Trigger::TimeAfterCreate(duration(text))
    }

    fn before(text: &str) -> Trigger {
        Trigger::TimeBeforeExpiry(duration(text))
    }

    #[test]
    fn durations_follow_the_calendar() {
        let start = moment("2024-01-31T12:00:00Z");
        assert_eq!(duration("P1M").after(start), moment("2024-02-29T12:00:00Z"));
        assert_eq!(duration("P1Y10D").after(start), moment("2025-02-10T12:00:00Z"));
        assert_eq!(duration("PT48H").before(start), moment("2024-01-29T12:00:00Z"));
        assert_eq!(duration("P9000Y").after(start), Timestamp::MAX);
        for bad in
            ["", "18M", "18 months", "P", "P0D", "-P1D", "P-1D", "P1X", "PP1D", &format!("P{}1D", "0".repeat(99))]
        {
            assert_eq!(CalendarDuration::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn the_rules_of_a_policy() {
        let now = moment("2026-01-01T00:00:00Z");
        let policy = |actions: &[LifetimeAction], expiry: Option<&str>| {
            RotationPolicy::new(actions.to_vec(), expiry.map(duration), now)
        };
        let refused = |problem| Err(VaultError::RotationPolicy { problem });
        let notify = |trigger| LifetimeAction { trigger, action: LifetimeActionKind::Notify };
        assert_eq!(policy(&[], Some("P27D")), refused(RotationPolicyProblem::ExpiryTooShort));
        assert!(policy(&[], Some("P28D")).is_ok());
        assert_eq!(policy(&[rotate(after("P6D"))], None), refused(RotationPolicyProblem::TriggerTooShort));
        assert!(policy(&[rotate(after("P7D"))], None).is_ok());
        assert_eq!(policy(&[rotate(before("P30D"))], None), refused(RotationPolicyProblem::NoExpiry));
        assert_eq!(policy(&[rotate(before("P6D"))], Some("P90D")), refused(RotationPolicyProblem::TriggerTooShort));
        assert_eq!(policy(&[rotate(after("P84D"))], Some("P90D")), refused(RotationPolicyProblem::TriggerTooLate));
        assert_eq!(policy(&[rotate(before("P84D"))], Some("P90D")), refused(RotationPolicyProblem::TriggerTooLate));
        assert!(policy(&[rotate(after("P83D"))], Some("P90D")).is_ok());
        assert!(policy(&[rotate(before("P83D"))], Some("P90D")).is_ok());
        let twice = [rotate(after("P30D")), rotate(after("P40D"))];
        assert_eq!(policy(&twice, None), refused(RotationPolicyProblem::ActionTwice));
        assert_eq!(policy(&[notify(after("P30D"))], None), refused(RotationPolicyProblem::NotifyAfterCreate));
        let kept = policy(&[rotate(after("P30D"))], None).unwrap();
        assert_eq!(kept.actions().len(), 2, "the notification stays");
    }

    proptest! {
        #[test]
        fn durations_never_panic(text in "[-+]?P?[0-9YMWDTHS.,]{0,20}", at in -100_000_000_000_i64..200_000_000_000) {
            if let Some(duration) = CalendarDuration::parse(&text) {
                let at = Timestamp::from_second(at).unwrap();
                prop_assert!(duration.after(at) > at && duration.before(at) < at);
            }
        }
    }
}
