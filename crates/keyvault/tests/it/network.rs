//! From where a vault may be reached, as callers in different places meet it.

use keyvault::{Bypass, ControlCommand, DefaultAction, NetworkRules, Place, PublicAccess};
use reqwest::StatusCode;
use serde_json::Value;

use crate::stack::{Stack, VAULT, json_of};

const SUBNET: &str = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/virtualNetworks/net/subnets/nodes";

/// A call from a place: status, inner code and message.
async fn from(stack: &Stack, place: Place) -> (StatusCode, Value) {
    let client = stack.client_at(place).await;
    let request = client.get(format!("{VAULT}/keys?api-version=7.4")).bearer_auth(stack.token().await);
    json_of(request.send().await.unwrap()).await
}

fn internet(address: &str) -> Place {
    Place::Internet { address: Some(address.parse().unwrap()) }
}

fn subnet() -> Place {
    Place::Subnet { id: SUBNET.to_owned(), address: Some("10.0.0.4".parse().unwrap()) }
}

fn set(stack: &Stack, network: NetworkRules) {
    stack.control.apply(ControlCommand::SetNetwork { vault: "kyanite".to_owned(), network }).unwrap();
}

#[tokio::test]
async fn the_firewall_names_the_address_it_refuses() {
    let stack = Stack::start().await;
    let rules = NetworkRules {
        default_action: DefaultAction::Deny,
        ip_rules: vec!["20.1.2.0/24".parse().unwrap()],
        virtual_network_rules: vec![SUBNET.to_owned()],
        ..NetworkRules::default()
    };
    set(&stack, rules.clone());
    assert_eq!(from(&stack, internet("20.1.2.3")).await.0, StatusCode::OK);
    assert_eq!(from(&stack, subnet()).await.0, StatusCode::OK);
    assert_eq!(from(&stack, Place::TrustedService).await.0, StatusCode::OK);
    let (status, refused) = from(&stack, internet("20.9.9.9")).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    insta::assert_json_snapshot!(refused, @r#"
    {
      "error": {
        "code": "Forbidden",
        "innererror": {
          "code": "ForbiddenByFirewall"
        },
        "message": "Client address is not authorized and caller is not a trusted service.\r\nClient address: 20.9.9.9\r\nCaller: appid=22222222-2222-4222-8222-222222222222;oid=33333333-3333-4333-8333-333333333333;iss=https://sts.windows.net/11111111-1111-4111-8111-111111111111/\r\nVault: kyanite;location=westeurope"
      }
    }
    "#);
    set(&stack, NetworkRules { bypass: Bypass::None, ..rules });
    let (_, refused) = from(&stack, Place::TrustedService).await;
    assert!(refused["error"]["message"].as_str().unwrap().contains("bypass is set to None"), "{refused}");
}

#[tokio::test]
async fn a_private_vault_is_reached_by_its_private_link_only() {
    let stack = Stack::start().await;
    let rules = NetworkRules {
        public_access: PublicAccess::Disabled,
        private_endpoints: vec![SUBNET.replace("nodes", "endpoints")],
        ..NetworkRules::default()
    };
    set(&stack, rules.clone());
    let (status, refused) = from(&stack, internet("20.1.2.3")).await;
    assert_eq!(
        (status, &refused["error"]["innererror"]["code"]),
        (StatusCode::FORBIDDEN, &"ForbiddenByConnection".into())
    );
    insta::assert_snapshot!(refused["error"]["message"].as_str().unwrap().replace('\r', "␍"), @"
    Public network access is disabled and request is not from a trusted service nor via an approved private link.␍
    Caller: appid=22222222-2222-4222-8222-222222222222;oid=33333333-3333-4333-8333-333333333333;iss=https://sts.windows.net/11111111-1111-4111-8111-111111111111/␍
    Vault: kyanite;location=westeurope
    ");
    let client = stack.client_at(subnet()).await;
    let request = client.get(format!("{VAULT}/keys?api-version=7.4")).bearer_auth(stack.token().await);
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let info = response.headers()["x-ms-keyvault-network-info"].to_str().unwrap();
    assert_eq!(info, "conn_type=PrivateLink;addr=10.0.0.4;act_addr_fam=InterNetworkV6;");
    // A missing token is told first, from wherever.
    let probe = stack.client.get(format!("{VAULT}/keys?api-version=7.4")).send().await.unwrap();
    assert_eq!(probe.status(), StatusCode::UNAUTHORIZED);
    // Whoever looks for the reason may ask from everywhere, without a token.
    let health = stack.client_at(internet("20.1.2.3")).await.get(format!("{VAULT}/healthstatus")).send().await.unwrap();
    assert_eq!(health.status(), StatusCode::OK);
    let info = health.headers()["x-ms-keyvault-network-info"].to_str().unwrap();
    assert_eq!(info, "conn_type=Ipv4;addr=20.1.2.3;act_addr_fam=InterNetwork;");
    assert_eq!(health.bytes().await.unwrap().len(), 4);
    set(&stack, NetworkRules { bypass: Bypass::None, ..rules.clone() });
    let (_, refused) = from(&stack, Place::TrustedService).await;
    let start = "Connection is not an approved private link and caller was ignored because bypass is not set";
    assert!(refused["error"]["message"].as_str().unwrap().starts_with(start), "{refused}");
    set(&stack, NetworkRules { public_access: PublicAccess::SecuredByPerimeter, ..rules });
    let (status, refused) = from(&stack, Place::TrustedService).await;
    assert_eq!((status, &refused["error"]["innererror"]["code"]), (StatusCode::FORBIDDEN, &"ForbiddenByNsp".into()));
}
