//! `azure.json`, the file that AKS and its tools share: which cloud, and who the plugin is there.
//!
//! Imitates `pkg/config` and `pkg/auth` of Azure/kubernetes-kms: the file is read as YAML, of which JSON is a part;
//! keys that belong to the cloud provider are ignored. Differs: every problem is reported at once, with its line.

use std::fmt;

use saphyr::{LoadableYamlNode as _, MarkedYaml, Scalar, YamlData};

use crate::cloud::{Cloud, StackCloud, is_stack};
use crate::config::Credential;
use crate::secret::ClientSecret;

/// What the plugin takes from `azure.json`.
#[derive(Debug)]
pub struct AzureJson {
    /// The cloud.
    pub cloud: Cloud,
    /// The credential: a managed identity before a client secret, as in Azure's plugin.
    pub credential: Credential,
}

impl AzureJson {
    /// Reads the file's content. If it names `AzureStackCloud`, `stack` says what that is; `cli` reads it from the file
    /// that `AZURE_ENVIRONMENT_FILEPATH` names.
    ///
    /// # Errors
    ///
    /// [`AzureJsonError`] with everything that is wrong with it.
    pub fn parse(content: &[u8], stack: impl FnOnce() -> Result<StackCloud, String>) -> Result<Self, AzureJsonError> {
        let one = |line, text: String| AzureJsonError { problems: vec![Problem { line, text }] };
        let text = std::str::from_utf8(content).map_err(|error| one(None, format!("it is not UTF-8: {error}")))?;
        let documents = MarkedYaml::load_from_str(text)
            .map_err(|error| one(Some(error.marker().line()), error.info().to_owned()))?;
        let Some(document) = documents.first() else { return Err(one(None, "it is empty".to_owned())) };
        let YamlData::Mapping(mapping) = &document.data else {
            return Err(one(Some(document.span.start.line()), "it is not an object".to_owned()));
        };
        let mut fields = Fields::default();
        let mut stack = Some(stack);
        for (key, value) in mapping {
            if let YamlData::Value(Scalar::String(name)) = &key.data {
                let line = Some(value.span.start.line());
                if name == "cloud"
                    && text_of(value).is_some_and(is_stack)
                    && let Some(stack) = stack.take()
                {
                    match stack() {
                        Ok(stack) => fields.cloud = Some(Cloud::Stack(stack)),
                        Err(text) => fields.problems.push(Problem { line, text }),
                    }
                } else {
                    fields.take(name, value);
                }
            }
        }
        fields.finish()
    }
}

/// Everything that is wrong with an `azure.json`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AzureJsonError {
    problems: Vec<Problem>,
}

impl AzureJsonError {
    /// The problems, in the order of the file.
    pub fn problems(&self) -> impl Iterator<Item = String> {
        self.problems.iter().map(ToString::to_string)
    }
}

impl fmt::Display for AzureJsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("failed to unmarshal azure.json, error: ")?;
        for (index, problem) in self.problems.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for AzureJsonError {}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Problem {
    line: Option<usize>,
    text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

/// The fields the plugin knows, as far as they have been read.
#[derive(Default)]
struct Fields {
    aad_client_cert_password: String,
    aad_client_cert_path: String,
    aad_client_id: String,
    aad_client_secret: String,
    cloud: Option<Cloud>,
    problems: Vec<Problem>,
    tenant_id: String,
    use_managed_identity: bool,
    user_assigned_identity_id: String,
}

impl Fields {
    fn take(&mut self, name: &str, value: &MarkedYaml<'_>) {
        let line = Some(value.span.start.line());
        let text = text_of(value);
        let slot = match name {
            "aadClientCertPassword" => &mut self.aad_client_cert_password,
            "aadClientCertPath" => &mut self.aad_client_cert_path,
            "aadClientId" => &mut self.aad_client_id,
            "aadClientSecret" => &mut self.aad_client_secret,
            "tenantId" => &mut self.tenant_id,
            "userAssignedIdentityID" => &mut self.user_assigned_identity_id,
            "cloud" => {
                self.cloud = text.and_then(Cloud::by_name);
                if self.cloud.is_none() {
                    let text = format!("cloud {:?} is not known", text.unwrap_or("(not a text)"));
                    self.problems.push(Problem { line, text });
                }
                return;
            }
            "useManagedIdentityExtension" => {
                match &value.data {
                    YamlData::Value(Scalar::Boolean(flag)) => self.use_managed_identity = *flag,
                    _ => self.problems.push(Problem { line, text: format!("{name} must be true or false") }),
                }
                return;
            }
            _ => return,
        };
        match text {
            Some(text) => text.clone_into(slot),
            None => self.problems.push(Problem { line, text: format!("{name} must be a text") }),
        }
    }

    fn finish(mut self) -> Result<AzureJson, AzureJsonError> {
        let mut missing = |text: &str| self.problems.push(Problem { line: None, text: text.to_owned() });
        let credential = if self.use_managed_identity {
            let client = Some(self.user_assigned_identity_id).filter(|id| !id.is_empty());
            Some(Credential::ManagedIdentity { client })
        } else if !self.aad_client_id.is_empty() && !self.aad_client_secret.is_empty() {
            if self.tenant_id.is_empty() {
                missing("tenantId is missing");
            }
            let secret = ClientSecret::new(self.aad_client_secret);
            Some(Credential::ClientSecret { tenant: self.tenant_id, client: self.aad_client_id, secret })
        } else if !self.aad_client_cert_path.is_empty() && !self.aad_client_cert_password.is_empty() {
            for (value, text) in
                [(&self.tenant_id, "tenantId is missing"), (&self.aad_client_id, "aadClientId is missing")]
            {
                if value.is_empty() {
                    missing(text);
                }
            }
            Some(Credential::ClientCertificate {
                tenant: self.tenant_id,
                client: self.aad_client_id,
                path: self.aad_client_cert_path.into(),
                password: ClientSecret::new(self.aad_client_cert_password),
            })
        } else {
            missing("no credentials provided for accessing keyvault");
            None
        };
        match credential {
            Some(credential) if self.problems.is_empty() => {
                Ok(AzureJson { cloud: self.cloud.unwrap_or_default(), credential })
            }
            _ => Err(AzureJsonError { problems: self.problems }),
        }
    }
}

fn text_of<'a>(value: &'a MarkedYaml<'_>) -> Option<&'a str> {
    match &value.data {
        YamlData::Value(Scalar::String(text)) => Some(text.as_ref()),
        YamlData::Value(Scalar::Null) => Some(""),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use proptest::prelude::*;

    use super::*;

    fn parse(content: &[u8]) -> Result<AzureJson, AzureJsonError> {
        AzureJson::parse(content, || Err("cloud AzureStackCloud: AZURE_ENVIRONMENT_FILEPATH is not set".to_owned()))
    }

    fn problems(text: &str) -> String {
        parse(text.as_bytes()).unwrap_err().problems().collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_cloud_providers_file_is_read() {
        let parsed = parse(
            br#"{
              "cloud": "AzurePublicCloud", "tenantId": "t", "subscriptionId": "s", "resourceGroup": "rg",
              "aadClientId": "c", "aadClientSecret": "p", "useInstanceMetadata": true, "maximumLoadBalancerRuleCount": 250
            }"#,
        )
        .unwrap();
        assert_eq!(parsed.cloud, Cloud::Public);
        let Credential::ClientSecret { tenant, client, secret } = parsed.credential else { panic!("a client secret") };
        assert_eq!((tenant.as_str(), client.as_str(), secret.expose()), ("t", "c", "p"));
    }

    #[test]
    fn a_managed_identity_wins_and_yaml_will_do() {
        let text = "cloud: azureusgovernmentcloud\nuseManagedIdentityExtension: true\nuserAssignedIdentityID: u\naadClientId: msi\naadClientSecret: msi\n";
        let parsed = parse(text.as_bytes()).unwrap();
        assert_eq!(parsed.cloud, Cloud::UsGovernment);
        assert!(matches!(parsed.credential, Credential::ManagedIdentity { client: Some(id) } if id == "u"));
        let parsed = parse(br#"{"useManagedIdentityExtension":true,"userAssignedIdentityID":""}"#).unwrap();
        assert!(matches!(parsed.credential, Credential::ManagedIdentity { client: None }));
    }

    #[test]
    fn a_certificate_comes_after_a_secret() {
        let certificate = r#""aadClientCertPath":"/c.pfx","aadClientCertPassword":"pw""#;
        let text = format!(r#"{{"tenantId":"t","aadClientId":"c",{certificate}}}"#);
        let Credential::ClientCertificate { path, password, .. } = parse(text.as_bytes()).unwrap().credential else {
            panic!("a certificate")
        };
        assert_eq!((path.to_str(), password.expose()), (Some("/c.pfx"), "pw"));
        let text = format!(r#"{{"tenantId":"t","aadClientId":"c","aadClientSecret":"s",{certificate}}}"#);
        assert!(matches!(parse(text.as_bytes()).unwrap().credential, Credential::ClientSecret { .. }));
        assert_snapshot!(problems(&format!("{{{certificate}}}")), @r"
        tenantId is missing
        aadClientId is missing
        ");
        assert_snapshot!(
            problems(r#"{"tenantId":"t","aadClientId":"c","aadClientCertPath":"/c.pfx"}"#),
            @"no credentials provided for accessing keyvault"
        );
    }

    #[test]
    fn every_problem_is_told() {
        assert_snapshot!(problems("{\n\"cloud\": \"AzureMoonCloud\",\n\"tenantId\": 7,\n\"useManagedIdentityExtension\": \"yes\"\n}"), @r#"
        line 2: cloud "AzureMoonCloud" is not known
        line 3: tenantId must be a text
        line 4: useManagedIdentityExtension must be true or false
        no credentials provided for accessing keyvault
        "#);
        assert_snapshot!(problems(r#"{"aadClientId":"c","aadClientSecret":"p"}"#), @"tenantId is missing");
        assert_snapshot!(problems("[1]"), @"line 1: it is not an object");
        assert_snapshot!(problems(""), @"it is empty");
        assert_snapshot!(problems("{\n\"a\": \n"), @"line 3: while parsing a node, did not find expected node content");
        assert_eq!(
            parse(b"\xff").unwrap_err().to_string(),
            "failed to unmarshal azure.json, error: it is not UTF-8: invalid utf-8 sequence of 1 bytes from index 0"
        );
    }

    #[test]
    fn a_stack_cloud_is_looked_up() {
        let file = br#"{"activeDirectoryEndpoint":"https://login.local/","keyVaultDNSSuffix":"vault.local"}"#;
        let stack = || StackCloud::parse(file).map_err(|error| error.to_string());
        let content = br#"{"cloud":"AzureStackCloud","useManagedIdentityExtension":true}"#;
        assert_eq!(AzureJson::parse(content, stack).unwrap().cloud.vault_dns_suffix(), "vault.local");
        assert_snapshot!(
            problems(r#"{"cloud":"AZURESTACKCLOUD","useManagedIdentityExtension":true}"#),
            @"line 1: cloud AzureStackCloud: AZURE_ENVIRONMENT_FILEPATH is not set"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn any_values_are_taken(name in "(cloud|tenantId|aadClientId|useManagedIdentityExtension)", value in ".{0,40}") {
            let _ = parse(format!("{name}: {value}").as_bytes());
        }
    }
}
