//! `Assumed:` every text, code and status of the vault that no document or captured answer states.
//!
//! One table, so that an observation of the real service changes one line. What is known for sure stands where it is
//! used, with its source. The evidence for each line is listed in `docs/keyvault.md`.

use http::StatusCode;

use crate::vault::RotationPolicyProblem;

/// A request without an api-version.
pub(super) const API_VERSION_MISSING: &str = "api-version must be specified";
/// A ciphertext that does not open, for whatever reason.
pub(super) const DECRYPTION: &str = "The parameter is incorrect.\r\n";
/// `exp` is not after `nbf`.
pub(super) const EMPTY_VALIDITY: &str = "The expiration time must be later than its activation time.";
/// Our own failure: a panic, a full disk, a broken library.
pub(super) const INTERNAL: (&str, &str) = ("InternalServerError", "An internal server error has occurred.");
/// A body that is no JSON object of the expected shape.
pub(super) const MALFORMED_BODY: &str = "The request body is not valid JSON for this operation.";
/// A body that is not JSON by its own account.
pub(super) const CONTENT_TYPE: (StatusCode, &str) =
    (StatusCode::UNSUPPORTED_MEDIA_TYPE, "The request's Content-Type must be application/json.");
/// A body above the limit of 1 MiB.
pub(super) const BODY_TOO_LONG: (StatusCode, &str) =
    (StatusCode::PAYLOAD_TOO_LARGE, "The request body is too large: the limit is 1048576 bytes.");
/// A body that arrives too slowly.
pub(super) const BODY_TOO_SLOW: (StatusCode, &str, &str) =
    (StatusCode::REQUEST_TIMEOUT, "RequestTimeout", "The request body did not arrive in time.");
/// A body that ends early.
pub(super) const BODY_BROKEN: &str = "The request body could not be read to its end.";
/// A request whose `Host` is missing or unreadable.
pub(super) const HOST_MISSING: &str = "The request names no host.";
/// A request without `kty`.
pub(super) const KTY_MISSING: &str = "Property 'kty' is required.\r\n";
/// An imported key whose members do not make one.
pub(super) const IMPORTED_KEY: &str = "The key material is not valid, or is of a size that a vault does not have.";
/// A symmetric key that is not to lie in hardware.
pub(super) const OCT_IN_SOFTWARE: &str =
    "Keys of type oct are not supported; symmetric keys are of type oct-HSM, in a premium vault or a managed HSM.";
/// An exportable key without a release policy.
pub(super) const EXPORTABLE_WITHOUT_POLICY: &str = "Exportable keys must have release policy.";
/// The release of a key that is not exportable.
pub(super) const NOT_EXPORTABLE: &str = "Operation release is not permitted on this key: it is not exportable.";
/// A change to a release policy that cannot change.
pub(super) const RELEASE_POLICY_IMMUTABLE: &str = "The release policy of this key is immutable.";
/// A release policy for a key that was made without one.
pub(super) const RELEASE_POLICY_LATE: &str = "AKV.SKR.1005: Non-exportable keys must not have release policy";
/// `POST /rng` on a vault; only managed HSMs have it.
pub(super) const RANDOM_BYTES_OF_A_VAULT: &str =
    "Random bytes are not supported by vaults; only a managed HSM can give them.";
/// What is no backup of this emulator, or not of this kind of object.
pub(super) const BACKUP: &str = "The backup blob is not valid: it is damaged, or was made elsewhere.";
/// A content type of a secret above 255 characters.
pub(super) const SECRET_CONTENT_TYPE: &str = "The content type of a secret can have at most 255 characters.";
/// `maxresults` outside of 1 to 25.
pub(super) const MAX_RESULTS: &str = "The value of 'maxresults' must be an integer from 1 to 25.";
/// A `$skiptoken` that no page of this list gave out.
pub(super) const SKIP_TOKEN: &str = "The value of '$skiptoken' is not valid.";
/// Too many or too long tags.
pub(super) const TAGS: &str =
    "A key or secret can have at most 15 tags, each with a name and a value of at most 256 characters.";
/// Only 65537 is offered for keys in a vault.
pub(super) const PUBLIC_EXPONENT: &str = "Property 'public_exponent' must be 65537.";
/// `innererror.code` of an expired key.
pub(super) const KEY_EXPIRED_CODE: &str = "KeyExpired";
/// `innererror.code` of a key before its `nbf`.
pub(super) const KEY_NOT_YET_VALID_CODE: &str = "KeyNotYetValid";
/// The text for a bearer token whose signature does not hold; Azure's code for it is not known.
pub(super) const TOKEN_SIGNATURE: &str = "Error validating token: the signature is invalid.";
/// A bearer token that is not signed with RS256.
pub(super) const TOKEN_ALGORITHM: &str = "Error validating token: the signature algorithm is not RS256.";
/// A bearer token that cannot be read.
pub(super) const TOKEN_MALFORMED: &str = "Error validating token: it is not a well-formed JSON Web Token.";
/// A bearer token without the claims of an access token.
pub(super) const TOKEN_CLAIMS: &str = "Error validating token: a required claim is missing or malformed.";
/// The body of `GET /healthstatus`; only its length, 4 bytes, is documented.
pub(super) const HEALTH_BODY: &[u8] = b"\"OK\"";
/// `Differs:` what is refused because Kyanite does not have it yet, and Azure does.
pub(super) const NOT_EMULATED: (StatusCode, &str) = (StatusCode::NOT_IMPLEMENTED, "NotImplemented");
/// `Differs:` a host that is no vault of this stack. On Azure its name would not resolve.
pub(super) const NO_SUCH_VAULT: (StatusCode, &str) = (StatusCode::NOT_FOUND, "VaultNotFound");

/// A deleted key or secret that is not there.
pub(super) fn deleted_not_found(kind: &str, name: &str) -> String {
    format!("Deleted {kind} not found: {name}")
}

/// A vault that has only software keys is asked for one in hardware.
pub(super) fn needs_premium(kty: &str) -> String {
    format!("Keys of type {kty} are not supported in a vault of SKU standard; they need SKU premium.")
}

/// A property that must be there and is not; the text is part of the one observed for bad base64url.
pub(super) fn property_missing(property: &str) -> String {
    format!("Property '{property}' is required.\r\n")
}

/// A backup restored over what is there.
pub(super) fn name_taken(kind: &str, name: &str) -> String {
    format!("{kind} {name} already exists; a backup can only be restored under a name that is free.")
}

/// `key_ops` that a type cannot have.
pub(super) fn operation_unknown(operation: &str, kty: &str) -> String {
    format!("Operation {operation} is not supported by keys of type {kty}.")
}

/// A digest of a length that its algorithm does not have.
pub(super) fn digest_length(algorithm: &str, expected_bytes: usize, actual_bytes: usize) -> String {
    format!(
        "Invalid length of value for {algorithm}: the digest has {actual_bytes} bytes, it must have {expected_bytes}."
    )
}

/// A plaintext that does not fill the blocks of its algorithm.
pub(super) fn block_length(algorithm: &str, block_bytes: usize, actual_bytes: usize) -> String {
    format!("Invalid length of value for {algorithm}: {actual_bytes} bytes do not fill blocks of {block_bytes}.")
}

/// An initialization vector that the algorithm does not take.
pub(super) fn invalid_iv(algorithm: &str) -> String {
    format!("Property iv is not valid for {algorithm}: A*CBC take 16 bytes, A*GCM none when they encrypt.")
}

/// A secret above the limit of 25 KB.
pub(super) fn secret_too_long(limit_bytes: usize, actual_bytes: usize) -> String {
    format!("The value of a secret can have at most {limit_bytes} bytes; this one has {actual_bytes}.")
}

/// A rotation policy that breaks a rule.
pub(super) fn rotation_policy(problem: RotationPolicyProblem) -> &'static str {
    match problem {
        RotationPolicyProblem::ActionTwice => "A rotation policy can have at most one Rotate and one Notify action.",
        RotationPolicyProblem::ExpiryTooShort => "The expiryTime of a rotation policy must be at least 28 days.",
        RotationPolicyProblem::NoExpiry => "A Rotate action with timeBeforeExpiry needs an expiryTime.",
        RotationPolicyProblem::NotifyAfterCreate => "A Notify action must have timeBeforeExpiry.",
        RotationPolicyProblem::TriggerTooLate => {
            "A Rotate action must lie at least 7 days after creation and 7 days before expiry."
        }
        RotationPolicyProblem::TriggerTooShort => "timeAfterCreate and timeBeforeExpiry must be at least 7 days.",
    }
}

/// An operation that protects new data, with an expired key.
pub(super) fn key_expired(operation: &str) -> String {
    format!("Operation {operation} is not allowed on an expired key.")
}

/// An operation that protects new data, with a key before its `nbf`.
pub(super) fn key_not_yet_valid(operation: &str) -> String {
    format!("Operation {operation} is not allowed on a key that is not yet valid.")
}

/// Where a refusal by policy sends its reader.
pub(super) const POLICY_HELP: &str = "https://go.microsoft.com/fwlink/?linkid=2125287";
/// The firewall's refusal if trusted services are not exempt either.
pub(super) const FIREWALL_WITHOUT_BYPASS: &str =
    "Client address is not authorized and caller was ignored because bypass is set to None.";
/// The refusal of a closed vault if trusted services are not exempt either; its beginning was observed.
pub(super) const CONNECTION_WITHOUT_BYPASS: &str = "Connection is not an approved private link and caller was ignored because \
     bypass is not set to 'AzureServices' and PublicNetworkAccess is set to 'Disabled'.";
/// The refusal and inner code of a network security perimeter.
pub(super) const PERIMETER: (&str, &str) =
    ("Access is denied by the inbound rules of the network security perimeter.", "ForbiddenByNsp");
/// Why a request over the subscription's limit is refused.
pub(super) const SUBSCRIPTION_LIMIT: &str = "SubscriptionRequestTypeLimitReached";

/// A path or verb there is not.
pub(super) fn method_not_allowed(method: &str, operation: &str) -> String {
    format!("Method {method} does not allow operation '{operation}'")
}

/// A name that breaks its rule.
pub(super) fn invalid_name(name: &str) -> String {
    format!(
        "The request URI contains an invalid name: {name}. A name has 1 to 127 characters out of 0-9, a-z, A-Z and -."
    )
}

/// A property whose value is not one of those there are.
pub(super) fn invalid_property(property: &str) -> String {
    format!("Property {property} has invalid value\r\n")
}

/// An algorithm that the key's type does not have.
pub(super) fn algorithm_mismatch(algorithm: &str, key: &str) -> String {
    format!("Algorithm '{algorithm}' is not valid for a key of type {key}.")
}

/// A plaintext that does not fit into one block.
pub(super) fn plaintext_too_long(limit_bytes: usize, actual_bytes: usize) -> String {
    format!("The value is too long for this key and algorithm: {actual_bytes} bytes, the limit is {limit_bytes}.")
}

/// A bearer token whose life has not begun.
pub(super) fn token_not_yet_valid(not_before: &str, now: &str) -> String {
    format!("Error validating token: it is not valid before {not_before}; the time is {now}.")
}

/// A bearer token of another tenant.
pub(super) fn token_tenant(expected: &str, found: &str) -> String {
    format!("Error validating token: the vault belongs to the tenant {expected}, the token to {found}.")
}

/// `error.code` and `error.message` that go with a status when a fault gives none.
pub(super) fn fault(status: u16) -> (&'static str, &'static str) {
    match status {
        401 => ("Unauthorized", "AKV10000: Request is missing a Bearer or PoP token."),
        403 => ("Forbidden", "Operation is not allowed."),
        408 => ("RequestTimeout", "The operation timed out."),
        // Observed: vcsjones/AzureSignTool#219.
        429 => (
            "Throttled",
            "Request was not processed because too many requests were received. Reason: VaultRequestTypeLimitReached",
        ),
        503 => ("ServiceUnavailable", "The service is temporarily unavailable."),
        504 => ("GatewayTimeout", "The service did not answer in time."),
        400..=499 => ("BadParameter", "The request was refused by an injected fault."),
        _ => INTERNAL,
    }
}
