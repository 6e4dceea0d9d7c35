//! Who may do what, as a client meets it.

use std::time::Duration;

use keyvault::{
    AccessModel, AccessPolicy, Config, ControlCommand, ControlError, KeyPermission, Role, RoleAssignment, RoleScope,
    VaultConfig,
};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::stack::{OBJECT_ID, Stack, config, version_of};

fn with(access: AccessModel) -> Config {
    let vault = VaultConfig { access, ..VaultConfig::new("kyanite".parse().unwrap()) };
    Config { vaults: vec![vault], ..config() }
}

fn assignment(role: Role, scope: RoleScope) -> RoleAssignment {
    RoleAssignment { principal_id: OBJECT_ID.parse().unwrap(), role, scope }
}

fn vault_scope() -> RoleScope {
    RoleScope::Vault { vault: "kyanite".to_owned() }
}

fn body() -> Value {
    json!({ "alg": "RSA-OAEP-256", "value": "c2VlZA" })
}

/// Status and inner code.
async fn outcome(stack: &Stack, method: &str, path: &str, body: Option<Value>) -> (u16, String) {
    let (status, answer) = match body {
        Some(body) => stack.call(method, path, body).await,
        None => stack.bare(method, path).await,
    };
    (status.as_u16(), answer["error"]["innererror"]["code"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn without_a_role_nothing_is_allowed_and_nothing_is_learnt() {
    let stack = Stack::start_with(with(AccessModel::Rbac)).await;
    let (status, refused) = stack.call("POST", "/keys/KMS/encrypt", body()).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    insta::assert_json_snapshot!(refused, @r#"
    {
      "error": {
        "code": "Forbidden",
        "innererror": {
          "code": "ForbiddenByRbac"
        },
        "message": "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or role definitions were changed recently, please observe propagation time.\r\nCaller: appid=22222222-2222-4222-8222-222222222222;oid=33333333-3333-4333-8333-333333333333;iss=https://sts.windows.net/11111111-1111-4111-8111-111111111111/\r\nAction: 'Microsoft.KeyVault/vaults/keys/encrypt/action'\r\nResource: '/subscriptions/00000000-0000-4000-8000-000000000000/resourcegroups/kyanite/providers/microsoft.keyvault/vaults/kyanite/keys/kms'\r\nAssignment: (not found)\r\nDenyAssignmentId: null\r\nDecisionReason: 'DeniedWithNoValidRBAC' \r\nVault: kyanite;location=westeurope\r\n"
      }
    }
    "#);
    // A key that is there is refused in the same words as one that is not.
    stack.control.apply(ControlCommand::AssignRole(assignment(Role::CryptoOfficer, vault_scope()))).unwrap();
    stack.create("there").await;
    let id = stack.control.role_assignments()[0].0;
    stack.control.apply(ControlCommand::RevokeRole(id)).unwrap();
    let there = stack.bare("GET", "/keys/there").await;
    let missing = stack.bare("GET", "/keys/missing").await;
    assert_eq!(there.0, StatusCode::FORBIDDEN);
    assert_eq!(there.1.to_string().replace("there", "missing"), missing.1.to_string());
}

#[tokio::test]
async fn roles_allow_what_they_say_at_their_scope() {
    let stack = Stack::start_with(with(AccessModel::Open)).await;
    for name in ["kms", "other"] {
        stack.create(name).await;
    }
    stack.control.apply(ControlCommand::SetAccess { vault: "kyanite".to_owned(), access: AccessModel::Rbac }).unwrap();
    let key = RoleScope::Key { vault: "kyanite".to_owned(), name: "kms".to_owned() };
    // What AKS's instructions warn of: this role wraps, and the KMS plugin encrypts.
    stack
        .control
        .apply(ControlCommand::AssignRole(assignment(Role::CryptoServiceEncryptionUser, key.clone())))
        .unwrap();
    let by_rbac = (403, "ForbiddenByRbac".to_owned());
    let ok = (200, String::new());
    assert_eq!(outcome(&stack, "POST", "/keys/kms/encrypt", Some(body())).await, by_rbac);
    assert_eq!(outcome(&stack, "POST", "/keys/kms/wrapkey", Some(body())).await, ok);
    assert_eq!(outcome(&stack, "GET", "/keys/KMS", None).await, ok);
    assert_eq!(outcome(&stack, "POST", "/keys/other/wrapkey", Some(body())).await, by_rbac);
    assert_eq!(outcome(&stack, "GET", "/keys", None).await, by_rbac, "a role on a key lists no keys");
    stack.control.apply(ControlCommand::AssignRole(assignment(Role::CryptoUser, key))).unwrap();
    let response = stack.send("POST", "/keys/kms/encrypt", Some(body())).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["x-ms-keyvault-rbac-assignment-id"].len(), 32);
    assert_eq!(outcome(&stack, "DELETE", "/keys/kms", None).await, by_rbac);
    assert_eq!(outcome(&stack, "POST", "/keys/new/create", Some(json!({ "kty": "RSA" }))).await, by_rbac);
}

#[tokio::test]
async fn a_role_counts_when_it_has_propagated() {
    let access = with(AccessModel::Rbac);
    let stack = Stack::start_with(Config { role_propagation: Duration::from_mins(10), ..access }).await;
    let role = ControlCommand::AssignRole(assignment(Role::Administrator, vault_scope()));
    let id = stack.control.apply(role).unwrap().unwrap();
    assert_eq!(stack.bare("GET", "/keys").await.0, StatusCode::FORBIDDEN);
    stack.clock.advance(Duration::from_mins(10)).unwrap();
    assert_eq!(stack.bare("GET", "/keys").await.0, StatusCode::OK);
    stack.control.apply(ControlCommand::RevokeRole(id)).unwrap();
    assert_eq!(stack.bare("GET", "/keys").await.0, StatusCode::OK, "it is still believed");
    stack.clock.advance(Duration::from_mins(10)).unwrap();
    assert_eq!(stack.bare("GET", "/keys").await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn policies_tell_the_unknown_from_the_unpermitted() {
    let stack = Stack::start_with(with(AccessModel::Policies(Vec::new()))).await;
    let access_denied = (403, "AccessDenied".to_owned());
    assert_eq!(outcome(&stack, "GET", "/keys/kms", None).await, access_denied);
    let set = |keys: Vec<KeyPermission>| {
        let policy = AccessPolicy { object_id: OBJECT_ID.parse().unwrap(), keys, secrets: Vec::new() };
        let access = AccessModel::Policies(vec![policy]);
        stack.control.apply(ControlCommand::SetAccess { vault: "kyanite".to_owned(), access }).unwrap();
    };
    set(vec![KeyPermission::Create, KeyPermission::Encrypt, KeyPermission::Get]);
    let bundle = stack.create("kms").await;
    let path = format!("/keys/kms/{}/encrypt", version_of(&bundle));
    assert_eq!(stack.call("POST", &path, body()).await.0, StatusCode::OK);
    let (status, refused) = stack.call("POST", "/keys/kms/decrypt", body()).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    insta::assert_json_snapshot!(refused["error"], @r#"
    {
      "code": "Forbidden",
      "innererror": {
        "code": "ForbiddenByPolicy"
      },
      "message": "The user, group or application 'appid=22222222-2222-4222-8222-222222222222;oid=33333333-3333-4333-8333-333333333333;iss=https://sts.windows.net/11111111-1111-4111-8111-111111111111/' does not have keys decrypt permission on key vault 'kyanite;location=westeurope'. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125287"
    }
    "#);
    // A role is not asked for, whatever it allows.
    stack.control.apply(ControlCommand::AssignRole(assignment(Role::Administrator, vault_scope()))).unwrap();
    assert_eq!(outcome(&stack, "GET", "/keys", None).await, (403, "ForbiddenByPolicy".to_owned()));
    set(vec![KeyPermission::All]);
    assert_eq!(outcome(&stack, "GET", "/keys", None).await, (200, String::new()));
}

#[tokio::test]
async fn the_control_door_names_what_is_not_there() {
    let stack = Stack::start().await;
    let unknown = ControlCommand::SetAccess { vault: "nobody".to_owned(), access: AccessModel::Rbac };
    let error = stack.control.apply(unknown).unwrap_err();
    assert_eq!(error.to_string(), "find a vault named nobody: there are kyanite");
    let text = format!(r#"{{"remove_principal": "{}"}}"#, uuid::Uuid::nil());
    let unknown: ControlCommand = serde_json::from_str(&text).unwrap();
    assert_eq!(stack.control.apply(unknown).unwrap_err(), ControlError::NoPrincipal { object_id: uuid::Uuid::nil() });
    // A principal that is declared later comes and goes.
    let text = r#"{"add_principal": {"client_id": "66666666-6666-4666-8666-666666666666", "object_id":
        "77777777-7777-4777-8777-777777777777", "kind": {"service_principal": {"client_secret": "new"}}}}"#;
    let fields = [
        ("scope", "https://vault.azure.net/.default"),
        ("client_id", "66666666-6666-4666-8666-666666666666"),
        ("client_secret", "new"),
    ];
    let asks = async || stack.token_request(&fields).send().await.unwrap().status();
    assert_eq!(asks().await, StatusCode::BAD_REQUEST);
    stack.control.apply(serde_json::from_str(text).unwrap()).unwrap();
    assert!(matches!(
        stack.control.apply(serde_json::from_str(text).unwrap()),
        Err(ControlError::PrincipalTaken { .. })
    ));
    assert_eq!(asks().await, StatusCode::OK);
}
